package xmldoc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"pgregory.net/rapid"
)

// part is a document that others embed.
type part struct {
	Kind string
	Note string
	Sub  []part
}

func (p *part) Map(m *xmldoc.Mapper) {
	m.Root("x:Part")
	m.Attr("kind", &p.Kind)
	m.Optional("Note", &p.Note)
	xmldoc.EachEmbed(m, 3, &p.Sub)
}

// item is a repeated element.
type item struct {
	Key  string
	Text string
}

// everything uses each method of Mapper.
type everything struct {
	Flavour  string
	Text     string
	Filled   string
	Always   string
	Optional string
	Group    id.Group
	Peer     id.Peer
	Int      int64
	Size     int64
	Flag     bool
	InnerA   string
	InnerB   string
	HasInner bool
	Self     string
	SelfID   id.Pipe
	Any      xmldoc.Node
	Part     part
	HasOpt   bool
	Other    other
	As       part
	HasAs    bool
	Items    []item
	Parts    []part
}

// other is a document that may be absent.
type other struct{ Note string }

func (o *other) Map(m *xmldoc.Mapper) {
	m.Root("Other")
	m.Optional("Note", &o.Note)
}

func (e *everything) Map(m *xmldoc.Mapper) {
	m.Root("x:All")
	m.Attr("flavour", &e.Flavour)
	m.Text("Text", &e.Text)
	m.Filled("Filled", &e.Filled)
	m.Always("Always", &e.Always)
	m.Optional("Optional", &e.Optional)
	m.Value("Group", &e.Group)
	m.OptionalValue("Peer", &e.Peer)
	m.Int("Int", &e.Int)
	m.OptionalInt("Size", &e.Size)
	m.OptionalBool("Flag", &e.Flag)
	m.Element("A", func(m *xmldoc.Mapper) { m.Text("Inner", &e.InnerA) })
	m.OptionalElement("B", &e.HasInner, func(m *xmldoc.Mapper) { m.Text("Inner", &e.InnerB) })
	m.Element("Self", func(m *xmldoc.Mapper) { m.Self(&e.Self) })
	m.Element("SelfID", func(m *xmldoc.Mapper) { m.SelfValue(&e.SelfID) })
	m.Node("Any", &e.Any)
	m.Element("Holder", func(m *xmldoc.Mapper) { m.Embed(&e.Part) })
	m.OptionalEmbed(&e.HasOpt, &e.Other)
	m.EmbedAs("As", &e.As)
	m.OptionalEmbedAs("MaybeAs", &e.HasAs, &e.As)
	xmldoc.Each(m, "Item", 3, &e.Items, func(m *xmldoc.Mapper, i *item) {
		m.Attr("key", &i.Key)
		m.Self(&i.Text)
	})
	m.Element("Parts", func(m *xmldoc.Mapper) { xmldoc.EachEmbed(m, 3, &e.Parts) })
}

func full() *everything {
	pipe, _ := id.ParsePipe("urn:jxta:uuid-59616261646162614E504720503250333132333435363738393A3B3C3D3E3F4004")
	peer, _ := id.ParsePeer("urn:jxta:uuid-59616261646162614E504720503250330102030405060708090A0B0C0D0E0F1003")
	return &everything{
		Flavour: "sweet", Text: "a < b && c > d", Filled: "\"'", Always: "é 北京 \U0001F600", Optional: "o",
		Group: id.NetGroup, Peer: peer, Int: -7, Size: 8, Flag: true, InnerA: "ia", InnerB: "ib", HasInner: true,
		Self: "s", SelfID: pipe, Any: xmldoc.NewNode("Any", "text", xmldoc.NewNode("b", "bold")),
		Part:   part{Kind: "k", Note: "n", Sub: []part{{Note: "deep"}}},
		HasOpt: true, Other: other{"o"}, As: part{Note: "as"}, HasAs: true,
		Items: []item{{"1", "one"}, {"", "two"}}, Parts: []part{{Note: "p"}, {}},
	}
}

func TestLayouts(t *testing.T) {
	const prolog = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE x:All>\n"
	const pipe = "urn:jxta:uuid-59616261646162614E504720503250333132333435363738393A3B3C3D3E3F4004"
	const peer = "urn:jxta:uuid-59616261646162614E504720503250330102030405060708090A0B0C0D0E0F1003"
	const back = `xmlns:jxta="http://jxta.org" xml:space="preserve"`
	const forth = `xml:space="preserve" xmlns:jxta="http://jxta.org"`
	compact := prolog + `<x:All flavour="sweet" ` + forth + ">\n" +
		`<Text>a &lt; b &amp;&amp; c > d</Text><Filled>"'</Filled><Always>é 北京 ` + "\U0001F600" + `</Always><Optional>o</Optional>` +
		`<Group>urn:jxta:jxta-NetGroup</Group><Peer>` + peer + `</Peer><Int>-7</Int><Size>8</Size><Flag>true</Flag>` +
		`<A><Inner>ia</Inner></A><B><Inner>ib</Inner></B><Self>s</Self><SelfID>` + pipe + `</SelfID><Any>text<b>bold</b></Any>` +
		`<Holder><x:Part ` + back + ` kind="k"><Note>n</Note><x:Part ` + forth + `><Note>deep</Note></x:Part></x:Part></Holder>` +
		`<Other ` + back + `><Note>o</Note></Other><As ` + back + `><Note>as</Note></As><MaybeAs ` + back + `><Note>as</Note></MaybeAs>` +
		`<Item key="1">one</Item><Item>two</Item>` +
		`<Parts><x:Part ` + back + `><Note>p</Note></x:Part><x:Part ` + back + `/></Parts></x:All>` + "\n"
	b, err := xmldoc.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(compact, string(b)); d != "" {
		t.Errorf("compact (-want +got):\n%s", d)
	}

	indented := prolog + `<x:Part kind="k" xml:space="default" xmlns:jxta="http://jxta.org">
	<Note>
		a
b
	</Note>
	<x:Part ` + back + `>
<Note>c</Note>	</x:Part>
	<x:Part ` + back + `/>
</x:Part>
`
	b, err = xmldoc.MarshalIndent(&part{Kind: "k", Note: "a\nb", Sub: []part{{Note: "c"}, {}}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Replace(indented, "x:All", "x:Part", 1), string(b)); d != "" {
		t.Errorf("indented (-want +got):\n%s", d)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, marshal := range []func(xmldoc.Document) ([]byte, error){xmldoc.Marshal, xmldoc.MarshalIndent} {
		for _, want := range []*everything{full(), {Filled: "f", Group: id.NetGroup, SelfID: full().SelfID}} {
			b, err := marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			got := new(everything)
			if err := xmldoc.Unmarshal(b, got); err != nil {
				t.Fatalf("%v in %s", err, b)
			}
			if d := cmp.Diff(want, got, cmp.Comparer(xmldoc.Node.Equal), cmp.Comparer(sameID)); d != "" {
				t.Errorf("differs (-want +got):\n%s", d)
			}
		}
	}
}

func sameID(a, b id.ID) bool { return a == b }

func TestPropertyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) string { return genText().Draw(t, name) }
		want := full()
		want.Text, want.Always, want.Optional, want.Self = draw("text"), draw("always"), draw("optional"), draw("self")
		want.Filled = genText().Filter(func(s string) bool { return s != "" }).Draw(t, "filled")
		want.Int, want.Size = rapid.Int64().Draw(t, "int"), rapid.Int64().Draw(t, "size")
		want.Flag, want.HasOpt = rapid.Bool().Draw(t, "flag"), rapid.Bool().Draw(t, "hasOpt")
		if !want.HasOpt {
			want.Other = other{}
		}
		want.Any = genNode(2).Draw(t, "any").Renamed("Any")
		want.Items = nil
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			want.Items = append(want.Items, item{rapid.StringMatching(`[a-z0-9:/.-]{0,8}`).Draw(t, "key"), draw("item")})
		}
		marshal := xmldoc.Marshal
		if rapid.Bool().Draw(t, "indent") {
			marshal = xmldoc.MarshalIndent
		}
		b, err := marshal(want)
		if errors.Is(err, xmldoc.ErrLimit) {
			t.Skip() // a name four times
		}
		if err != nil {
			t.Fatal(err)
		}
		got := new(everything)
		if err := xmldoc.Unmarshal(b, got); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		if d := cmp.Diff(want, got, cmp.Comparer(xmldoc.Node.Equal), cmp.Comparer(sameID)); d != "" {
			t.Fatalf("differs (-want +got):\n%s", d)
		}
	})
}

func TestReadErrors(t *testing.T) {
	whole, err := xmldoc.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cut, put string // a change of the whole document
		want     error
		text     string
	}{
		"another root":        {"x:All", "x:Any", xmldoc.ErrRoot, "/x:Any: another type of document, want x:All"},
		"text missing":        {"<Text>a &lt; b &amp;&amp; c > d</Text>", "", xmldoc.ErrMissing, "/x:All/Text: missing"},
		"filled empty":        {`<Filled>"'</Filled>`, "<Filled> </Filled>", xmldoc.ErrMissing, "/x:All/Filled: missing"},
		"value empty":         {"<Group>urn:jxta:jxta-NetGroup", "<Group>", xmldoc.ErrMissing, "/x:All/Group: missing"},
		"value missing":       {"<Group>urn:jxta:jxta-NetGroup</Group>", "", xmldoc.ErrMissing, "/x:All/Group: missing"},
		"value of wrong kind": {"<Group>urn:jxta:jxta-NetGroup", "<Group>urn:jxta:uuid-DEADBEEFDEAFBABAFEEDBABE0000000605", id.ErrKind, "/x:All/Group: "},
		"repeated value":      {"<Group>", "<Group/><Group>x", id.ErrSyntax, "/x:All/Group[2]: "},
		"number":              {"-7", "7x", xmldoc.ErrSyntax, `/x:All/Int: "7x" is no number`},
		"number too large":    {"-7", "9223372036854775808", xmldoc.ErrSyntax, `/x:All/Int: "9223372036854775808" is no number`},
		"number empty":        {"-7", "", xmldoc.ErrMissing, "/x:All/Int: missing"},
		"optional number":     {"<Size>8", "<Size>eight", xmldoc.ErrSyntax, `/x:All/Size: "eight" is no number`},
		"inside an element":   {"<A><Inner>ia</Inner>", "<A>", xmldoc.ErrMissing, "/x:All/A/Inner: missing"},
		"element missing":     {"<A><Inner>ia</Inner></A>", "", xmldoc.ErrMissing, "/x:All/A: missing"},
		"self empty":          {full().SelfID.String(), "", xmldoc.ErrMissing, "/x:All/SelfID: missing"},
		"self wrong":          {full().SelfID.String(), "no", id.ErrSyntax, "/x:All/SelfID: "},
		"embedded missing":    {"x:Part", "x:Port", xmldoc.ErrMissing, "/x:All/Holder/x:Part: missing"},
		"too many":            {"<Item>two</Item>", "<Item/><Item/><Item/>", xmldoc.ErrLimit, "/x:All: more than 3 of Item: "},
		"too many documents":  {"<Parts>", "<Parts><x:Part/><x:Part/>", xmldoc.ErrLimit, "/x:All/Parts: more than 3 of x:Part: "},
	} {
		doc := strings.ReplaceAll(string(whole), c.cut, c.put)
		if doc == string(whole) {
			t.Errorf("%s: nothing was changed", name)
		}
		err := xmldoc.Unmarshal([]byte(doc), new(everything))
		if !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), "xmldoc: "+c.text) {
			t.Errorf("%s: error %v, want %s", name, err, c.text)
		}
	}
}

func TestReadingRules(t *testing.T) {
	const doc = `<Other><Note>1</Note><Unknown><Note>2</Note></Unknown><Note> 3 </Note></Other>`
	var o other
	if err := xmldoc.Unmarshal([]byte(doc), &o); err != nil || o.Note != "3" {
		t.Errorf("note %q, error %v, want the last one", o.Note, err)
	}
	e := full()
	e.Size, e.Flag = 0, false
	b, err := xmldoc.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]struct {
		size int64
		flag bool
	}{
		"":                              {99, true},
		"<Size/><Flag/>":                {99, false},
		"<Size>5</Size>":                {5, true},
		"<Flag> TRUE </Flag>":           {99, true},
		"<Flag>yes</Flag>":              {99, false},
		"<Size>1</Size><Size>+2</Size>": {2, true},
	} {
		got := everything{Size: 99, Flag: true}
		changed := strings.Replace(string(b), "<Size>0</Size>", in, 1)
		if err := xmldoc.Unmarshal([]byte(changed), &got); err != nil {
			t.Fatal(in, err)
		}
		if got.Size != want.size || got.Flag != want.flag {
			t.Errorf("%s: %d %v, want %d %v", in, got.Size, got.Flag, want.size, want.flag)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(e *everything)
		want   error
	}{
		"control character":  {func(e *everything) { e.Text = "a\x01b" }, xmldoc.ErrText},
		"delete is harmless": {func(e *everything) { e.Text = "a\x7fb" }, nil},
		"invalid UTF-8":      {func(e *everything) { e.Text = "a\xffb" }, xmldoc.ErrText},
		"noncharacter":       {func(e *everything) { e.Text = "a\uffff" }, xmldoc.ErrText},
		"value missing":      {func(e *everything) { e.Group = id.Group{} }, xmldoc.ErrMissing},
		"filled missing":     {func(e *everything) { e.Filled = " " }, xmldoc.ErrMissing},
		"self missing":       {func(e *everything) { e.SelfID = id.Pipe{} }, xmldoc.ErrMissing},
		"attribute with &":   {func(e *everything) { e.Flavour = "a&b" }, xmldoc.ErrText},
		"attribute with <":   {func(e *everything) { e.Flavour = "a<b" }, xmldoc.ErrText},
		"attribute with >":   {func(e *everything) { e.Flavour = "a>b" }, xmldoc.ErrText},
		"attribute with \"":  {func(e *everything) { e.Flavour = `a"b` }, xmldoc.ErrText},
		"attribute with '":   {func(e *everything) { e.Flavour = "a'b" }, xmldoc.ErrText},
		"attribute with é":   {func(e *everything) { e.Flavour = "é" }, xmldoc.ErrText},
		"attribute with URL": {func(e *everything) { e.Flavour = "http://a.b:1/c?d=e#f%20g h" }, nil},
		"too many items":     {func(e *everything) { e.Items = make([]item, 4) }, xmldoc.ErrLimit},
		"too many documents": {func(e *everything) { e.Parts = make([]part, 4) }, xmldoc.ErrLimit},
		"too large":          {func(e *everything) { e.Text = strings.Repeat("x", xmldoc.MaxDocument) }, xmldoc.ErrLimit},
		"name of a node":     {func(e *everything) { e.Any = xmldoc.NewNode("Any", "", xmldoc.NewNode("a b", "")) }, xmldoc.ErrText},
		"empty name":         {func(e *everything) { e.Any = xmldoc.NewNode("Any", "", xmldoc.NewNode("", "")) }, xmldoc.ErrText},
		"name of attribute":  {func(e *everything) { e.Any = xmldoc.NewNode("Any", "").WithAttr("a=", "") }, xmldoc.ErrText},
		"attribute of node":  {func(e *everything) { e.Any = xmldoc.NewNode("Any", "").WithAttr("a", "\x00") }, xmldoc.ErrText},
		"text of node":       {func(e *everything) { e.Any = xmldoc.NewNode("Any", "\x02") }, xmldoc.ErrText},
		"same name 4 deep":   {func(e *everything) { e.Part = chain(4) }, nil},
		"same name 5 deep":   {func(e *everything) { e.Part = chain(5) }, xmldoc.ErrLimit},
		"much markup":        {func(e *everything) { e.Any = xmldoc.NewNode("Any", "", make8192()...) }, xmldoc.ErrLimit},
	} {
		e := full()
		c.change(e)
		b, err := xmldoc.Marshal(e)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
		if (b == nil) != (c.want != nil) {
			t.Errorf("%s: %d octets with error %v", name, len(b), err)
		}
	}
}

// chain nests a document in itself.
func chain(n int) part {
	if n == 1 {
		return part{}
	}
	return part{Sub: []part{chain(n - 1)}}
}

func make8192() []xmldoc.Node {
	list := make([]xmldoc.Node, xmldoc.MaxMarkup)
	for i := range list {
		list[i] = xmldoc.NewNode("b", "")
	}
	return list
}

// misuse is a description that breaks the rules.
type misuse func(m *xmldoc.Mapper)

func (f misuse) Map(m *xmldoc.Mapper) { f(m) }

func TestMisuse(t *testing.T) {
	s := "s"
	for name, f := range map[string]misuse{
		"no root":      func(m *xmldoc.Mapper) {},
		"late root":    func(m *xmldoc.Mapper) { m.Optional("a", &s); m.Root("r") },
		"root twice":   func(m *xmldoc.Mapper) { m.Root("r"); m.Root("r") },
		"late attr":    func(m *xmldoc.Mapper) { m.Root("r"); m.Optional("a", &s); m.Attr("b", &s) },
		"bad root":     func(m *xmldoc.Mapper) { m.Root("r s") },
		"bad child":    func(m *xmldoc.Mapper) { m.Root("r"); m.Optional("<", &s) },
		"absent whole": func(m *xmldoc.Mapper) { m.Whole(new(xmldoc.Node)) },
		"failed":       func(m *xmldoc.Mapper) { m.Root("r"); m.Fail(errors.New("no")); m.Fail(errors.New("later")) },
	} {
		if b, err := xmldoc.Marshal(f); err == nil {
			t.Errorf("%s: no error, written %s", name, b)
		} else if strings.Contains(err.Error(), "later") {
			t.Errorf("%s: not the first error: %v", name, err)
		}
	}
}

// variant is one of several document types with the same root.
type variant struct {
	Type string
	Note string
}

func (v *variant) Map(m *xmldoc.Mapper) {
	m.Root("x:Base")
	m.Type(v.Type)
	m.Indented()
	m.Text("Note", &v.Note)
}

func TestTypeAttribute(t *testing.T) {
	b, err := xmldoc.Marshal(&variant{"x:One", "n"})
	const want = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE x:Base>\n" +
		"<x:Base type=\"x:One\" xmlns:jxta=\"http://jxta.org\">\n\t<Note>\n\t\tn\n\t</Note>\n</x:Base>\n"
	if err != nil || string(b) != want {
		t.Errorf("%s, error %v, want %s", b, err, want)
	}
	for doc, want := range map[string]error{
		string(b):                               nil,
		`<x:Base type="x:One"><Note/></x:Base>`: nil,
		`<x:Base type="x:Two"><Note/></x:Base>`: xmldoc.ErrRoot,
		`<x:Base><Note/></x:Base>`:              xmldoc.ErrRoot,
		`<Parm type="x:One"><Note/></Parm>`:     nil,
		`<Parm type="x:Two"><Note/></Parm>`:     xmldoc.ErrRoot,
		`<Parm><Note/></Parm>`:                  xmldoc.ErrRoot,
		`<Place type="x:One"><Note/></Place>`:   xmldoc.ErrRoot,
	} {
		if err := xmldoc.Unmarshal([]byte(doc), &variant{Type: "x:One"}); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", doc, err, want)
		}
	}
	for doc, want := range map[string]error{
		`<Parm type="Other"/>`:       nil,
		`<Parm type="Another"/>`:     xmldoc.ErrRoot,
		`<Parm/>`:                    xmldoc.ErrRoot,
		`<Other type="something"/>`:  nil,
		`<p:Parm type="Other"/>`:     xmldoc.ErrRoot,
		`<Credential type="Other"/>`: nil,
	} {
		if err := xmldoc.Unmarshal([]byte(doc), new(other)); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", doc, err, want)
		}
	}
}

func TestSkip(t *testing.T) {
	n, err := xmldoc.ParseNode([]byte(`<x><i>1</i><i/><i>2</i><i/></x>`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = n.Decode(misuse(func(m *xmldoc.Mapper) {
		m.Root("x")
		xmldoc.Each(m, "i", 4, &got, func(m *xmldoc.Mapper, v *string) {
			if m.Self(v); *v == "" {
				m.Skip()
			}
		})
	}))
	if d := cmp.Diff([]string{"1", "2"}, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
}

func TestLeaves(t *testing.T) {
	got := make(map[string]string)
	e := full()
	e.Optional = " padded "
	if err := xmldoc.Leaves(e, func(name, text string) { got[name] = text }); err != nil {
		t.Fatal(err)
	}
	n, err := xmldoc.NodeOf(e)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for c := range n.Children() {
		if c.Text() != "" {
			want[c.Name()] = c.Text()
		}
	}
	if d := cmp.Diff(want, got); d != "" || got["Optional"] != "padded" {
		t.Errorf("leaves differ from the tree (-tree +leaves):\n%s", d)
	}
}

func TestNode(t *testing.T) {
	var zero xmldoc.Node
	if !zero.IsZero() || zero.Name() != "" || zero.Text() != "" || zero.String() != "" || zero.Attrs() != nil || zero.Size() != 0 {
		t.Error("the zero Node is not empty")
	}
	for range zero.Children() {
		t.Error("the zero Node has children")
	}
	if _, ok := zero.Child("a"); ok || zero.Holds("a") || !zero.WithAttr("a", "b").IsZero() || !zero.Renamed("a").IsZero() {
		t.Error("the zero Node is something")
	}
	if err := zero.Decode(new(other)); !errors.Is(err, xmldoc.ErrMissing) {
		t.Errorf("decoding the zero Node: %v", err)
	}
	if _, err := zero.Marshal(); !errors.Is(err, xmldoc.ErrMissing) {
		t.Errorf("writing the zero Node: %v", err)
	}

	a := xmldoc.NewNode("a", "t", xmldoc.NewNode("b", "1"), zero, xmldoc.NewNode("b", "2")).WithAttr("k", "v")
	if b, ok := a.Child("b"); !ok || b.Text() != "2" {
		t.Errorf("child %v, want the last one", b)
	}
	if v, ok := a.Attr("k"); !ok || v != "v" {
		t.Errorf("attribute %q", v)
	}
	if _, ok := a.Attr("K"); ok {
		t.Error("names of attributes have no case")
	}
	if b := a.WithAttr("k", "w").Renamed("p:a"); b.Name() != "p:a" || a.Name() != "a" || fmt.Sprint(a.Attrs()) != "[{k v}]" {
		t.Error("a Node was changed")
	}
	for _, b := range []xmldoc.Node{
		zero, a.Renamed("c"), a.WithAttr("k", "w"), a.WithAttr("l", "v"),
		xmldoc.NewNode("a", "u", xmldoc.NewNode("b", "1"), xmldoc.NewNode("b", "2")).WithAttr("k", "v"),
		xmldoc.NewNode("a", "t", xmldoc.NewNode("b", "2"), xmldoc.NewNode("b", "1")).WithAttr("k", "v"),
		xmldoc.NewNode("a", "t", xmldoc.NewNode("b", "1")).WithAttr("k", "v"),
		xmldoc.NewNode("a", "t", xmldoc.NewNode("b", "1"), xmldoc.NewNode("b", "2"), zero, a).WithAttr("k", "v"),
	} {
		if a.Equal(b) || b.Equal(a) {
			t.Errorf("%v and %v are equal", a, b)
		}
	}
	if !a.WithAttr("l", "w").Equal(xmldoc.NewNode("a", " t ", xmldoc.NewNode("b", "1"), xmldoc.NewNode("b", "2")).WithAttr("l", "w").WithAttr("k", "v")) {
		t.Error("order of attributes or blanks matter")
	}
}
