package governance

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// every kind of act, with everything set that it can have.
func everyAct() []Act {
	return []Act{
		{Kind: Exclude, Reason: "spam & <worse>", Peer: peer(1), Key: people[2].SPKI(), Range: netip.MustParsePrefix("192.0.2.0/24"), From: noon.Add(time.Hour), Term: 36 * time.Hour},
		{Kind: Exclude, Range: netip.MustParsePrefix("2001:db8::/32")},
		{Kind: Readmit, Target: ID{1, 2, 3}, From: noon, Term: time.Hour},
		{Kind: Withdraw, Content: HashOf(nil)}, {Kind: Reinstate, Content: HashOf(nil)},
		{Kind: Appoint, Key: people[3].SPKI()}, {Kind: Dismiss, Key: people[3].SPKI(), Kept: []Brief{{1}, {2}}},
		{Kind: SetQuorum, Quorum: 3}, {Kind: "decorate", Reason: "feast"},
	}
}

func TestMotionsAreReadAsWritten(t *testing.T) {
	for _, act := range everyAct() {
		m := motion(t, 5, act, people[0], people[1])
		doc, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		read, err := ReadMotion(doc)
		if err != nil {
			t.Fatalf("%s: %v\n%s", act.Kind, err, doc)
		}
		opts := cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b id.Peer) bool { return a == b }), cmp.Comparer(func(a, b id.Group) bool { return a == b })}
		if d := cmp.Diff(m.Act(), read.Act(), opts); d != "" || read.ID() != m.ID() || len(read.Signers()) != 2 {
			t.Errorf("%s: %s", act.Kind, d)
		}
		b := newBook(charter(t, 2, 1))
		if _, err := b.add(read, noon.Add(time.Hour)); err != nil {
			t.Errorf("%s: %v", act.Kind, err)
		}
		for i := range doc {
			if _, err := ReadMotion(doc[:i]); err == nil && strings.TrimSpace(string(doc[i:])) != "" {
				t.Fatalf("%s: cut at %d of %d: read", act.Kind, i, len(doc))
			}
		}
	}
}

func TestActsOutOfOrderAreRefused(t *testing.T) {
	for name, x := range map[string]struct {
		act  Act
		want error
	}{
		"no kind":             {Act{}, xmldoc.ErrMissing},
		"long reason":         {Act{Kind: Withdraw, Content: Hash{1}, Reason: strings.Repeat("x", MaxReason+1)}, ErrTooLarge},
		"nobody":              {Act{Kind: Exclude}, ErrMalformed},
		"range with host":     {Act{Kind: Exclude, Range: netip.MustParsePrefix("192.0.2.1/24")}, ErrMalformed},
		"range in the other":  {Act{Kind: Exclude, Range: netip.MustParsePrefix("::ffff:192.0.2.0/120")}, ErrMalformed},
		"no key":              {Act{Kind: Appoint}, ErrMalformed},
		"bad key":             {Act{Kind: Appoint, Key: []byte("key")}, identity.ErrKey},
		"bad key excluded":    {Act{Kind: Exclude, Key: []byte("key")}, identity.ErrKey},
		"large key":           {Act{Kind: Exclude, Key: make([]byte, maxKey+1)}, ErrTooLarge},
		"term":                {Act{Kind: Exclude, Peer: peer(1), Term: MaxTerm + time.Hour}, ErrTooLarge},
		"negative term":       {Act{Kind: Exclude, Peer: peer(1), Term: -time.Hour}, ErrTooLarge},
		"far ahead":           {Act{Kind: Exclude, Peer: peer(1), From: noon.Add(2 * maxAhead)}, ErrTooLarge},
		"term of withdrawal":  {Act{Kind: Withdraw, Content: Hash{1}, Term: time.Hour}, ErrMalformed},
		"kept without reason": {Act{Kind: Exclude, Peer: peer(1), Kept: []Brief{{1}}}, ErrTooLarge},
		"kept too many":       {Act{Kind: Dismiss, Key: people[1].SPKI(), Kept: make([]Brief, MaxKept+1)}, ErrTooLarge},
		"no quorum":           {Act{Kind: SetQuorum}, ErrMalformed},
		"quorum":              {Act{Kind: SetQuorum, Quorum: MaxSigners + 1}, ErrMalformed},
		"no content":          {Act{Kind: Withdraw}, ErrMalformed},
		"no target":           {Act{Kind: Readmit}, ErrMalformed},
	} {
		if _, err := NewMotion(crew, people[0], x.act, [16]byte{1}, noon); !errors.Is(err, x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheCharterTravelsInTheAdvertisement(t *testing.T) {
	c := charter(t, 3, 2)
	adv := &advertisements.Group{ID: crew, Spec: id.SpecGenericGroup, Name: "crew"}
	if _, err := CharterOf(adv); !errors.Is(err, ErrNoCharter) {
		t.Fatalf("without: %v", err)
	}
	if err := c.AddTo(adv); err != nil {
		t.Fatal(err)
	}
	doc, err := advertisements.Marshal(adv)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := advertisements.Standard().Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	read, err := CharterOf(parsed.(*advertisements.Group))
	if err != nil {
		t.Fatal(err)
	}
	if read.Hash() != c.Hash() || read.Quorum != 2 || len(read.Moderators) != 3 || !bytes.Equal(read.Founder(), people[0].SPKI()) || read.Moderators[1].Peer != peer(1) {
		t.Fatalf("%+v", read)
	}
	// Another group's advertisement cannot carry it, and nobody else can alter it.
	stolen := &advertisements.Group{ID: other, Spec: id.SpecGenericGroup, Name: "crew"}
	if err := c.AddTo(stolen); !errors.Is(err, ErrGroup) {
		t.Fatalf("into another: %v", err)
	}
	n, _ := adv.Service(Class())
	stolen.SetService(Class(), n)
	if _, err := CharterOf(stolen); !errors.Is(err, ErrGroup) {
		t.Fatalf("of another: %v", err)
	}
	bad := *c
	bad.doc = []byte(replaced(t, string(c.doc), "<Quorum>2<", "<Quorum>1<"))
	if err := bad.AddTo(adv); err != nil {
		t.Fatal(err)
	}
	if _, err := CharterOf(adv); !errors.Is(err, ErrSignature) {
		t.Fatalf("altered: %v", err)
	}
	next := Charter{Group: crew, Number: 2, Moderators: c.Moderators}
	second, err := next.Sign(people[0])
	if err != nil {
		t.Fatal(err)
	}
	byOther, err := next.Sign(people[1])
	if err != nil {
		t.Fatal(err)
	}
	if !second.Replaces(c) || c.Replaces(second) || byOther.Replaces(c) {
		t.Fatal("the wrong charter replaces the other")
	}
}

func TestChartersOutOfOrderAreRefused(t *testing.T) {
	a, b := ModeratorOf(people[0]), ModeratorOf(people[1])
	for name, c := range map[string]Charter{
		"no group":         {Moderators: []Moderator{a}},
		"the net group":    {Group: id.NetGroup, Moderators: []Moderator{a}},
		"no moderator":     {Group: crew},
		"quorum":           {Group: crew, Moderators: []Moderator{a, b}, Quorum: 3},
		"one twice":        {Group: crew, Moderators: []Moderator{a, a}},
		"ID of another":    {Group: crew, Moderators: []Moderator{{a.Key, b.Peer}}},
		"made up ID":       {Group: crew, Moderators: []Moderator{{a.Key, id.NewPeer(crew)}}},
		"bad key":          {Group: crew, Moderators: []Moderator{{Key: []byte("key")}}},
		"mode":             {Group: crew, Moderators: []Moderator{a}, Mode: "ajar"},
		"unsigned":         {Group: crew, Moderators: []Moderator{a}, Unsigned: "burn"},
		"too many":         {Group: crew, Moderators: make([]Moderator, MaxModerators+1)},
		"negative, number": {Group: crew, Moderators: []Moderator{a}, Number: -1},
	} {
		if _, err := c.Sign(people[0]); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestMessagesAreReadAsWritten(t *testing.T) {
	m := motion(t, 1, Act{Kind: Exclude, Peer: peer(1)}, people[0])
	q := &question{Charter: Hash{1}, Root: Hash{2}, Buckets: []byte{0, 255}, Entries: []entry{{Brief{1}, [8]byte{2}}}, Motions: []carried{{Motion: *m}}}
	doc, err := xmldoc.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	var read question
	if err := xmldoc.Unmarshal(doc, &read); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read.Buckets, q.Buckets) || read.Entries[0] != q.Entries[0] || read.Motions[0].id != m.id || read.Root != q.Root {
		t.Fatalf("%+v", read)
	}
	a := &answer{Charter: Hash{1}, Root: Hash{2}, Digests: make([]byte, 8*buckets), Wanted: []Brief{{1}, {2}}, Motions: []carried{{Motion: *m}}}
	if doc, err = xmldoc.Marshal(a); err != nil {
		t.Fatal(err)
	}
	var back answer
	if err := xmldoc.Unmarshal(doc, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Digests) != 8*buckets || len(back.Wanted) != 2 || back.Motions[0].id != m.id {
		t.Fatalf("%+v", back)
	}
}

// One act that is not in order does not spoil the others of a message.
func TestAMalformedActIsCountedAndTheOthersAreTaken(t *testing.T) {
	good := motion(t, 1, Act{Kind: Exclude, Peer: peer(1)}, people[0])
	bad := *motion(t, 2, Act{Kind: Exclude, Peer: peer(2), Reason: "short"}, people[0])
	bad.doc = []byte(replaced(t, string(bad.doc), "short", strings.Repeat("long", MaxReason)))
	doc, err := xmldoc.Marshal(&question{Charter: Hash{1}, Motions: []carried{{Motion: bad}, {Motion: *good}}})
	if err != nil {
		t.Fatal(err)
	}
	var q question
	if err := xmldoc.Unmarshal(doc, &q); err != nil {
		t.Fatal(err)
	}
	if len(q.Motions) != 2 || !errors.Is(q.Motions[0].bad, ErrTooLarge) || q.Motions[1].bad != nil {
		t.Fatalf("%v", q.Motions)
	}
}

// stays reports whether a document that was read is written and read again alike.
func stays[D any, P interface {
	*D
	xmldoc.Document
}](t *testing.T, b []byte) P {
	t.Helper()
	d := P(new(D))
	if err := xmldoc.Unmarshal(b, d); err != nil {
		return nil
	}
	first, err := xmldoc.Marshal(d)
	if err != nil {
		return nil // read leniently
	}
	again := P(new(D))
	if err := xmldoc.Unmarshal(first, again); err != nil {
		t.Fatalf("%v\n%s", err, first)
	}
	second, err := xmldoc.Marshal(again)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("%v\n%s\n%s", err, first, second)
	}
	return d
}

func FuzzAct(f *testing.F) {
	for _, act := range everyAct() {
		f.Add(motion(f, 5, act, people[0]).doc)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if a := stays[Act](t, b); a != nil {
			_ = a.String()
			_ = a.forgotten(noon)
		}
	})
}

func FuzzMotion(f *testing.F) {
	for _, act := range everyAct() {
		doc, err := motion(f, 5, act, people[0], people[1]).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	c := charter(f, 2, 1)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ReadMotion(b)
		if err != nil {
			return
		}
		book := newBook(c)
		_, _ = book.add(m, noon)
		Fold(c, []*Motion{m, m})
		stays[Motion](t, b)
	})
}

func FuzzCharter(f *testing.F) {
	c := charter(f, 3, 2)
	doc, err := xmldoc.Marshal(&charterParm{*c})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Add(c.doc)
	f.Fuzz(func(t *testing.T, b []byte) {
		stays[terms](t, b)
		if n, err := xmldoc.ParseNode(b); err == nil {
			_, _ = readCharter(n, crew)
		}
	})
}

func FuzzMessages(f *testing.F) {
	c := charter(f, 2, 1)
	m := motion(f, 1, Act{Kind: Exclude, Peer: peer(1)}, people[0])
	full := newBook(c)
	enter(f, full, m)
	d, err := newDesk(crew, people[0])
	if err != nil {
		f.Fatal(err)
	}
	e, err := NewEpoch(crew, 7, people[0], xmldoc.NewNode("Cred", "x"), []Brief{{1}}, noon)
	if err != nil {
		f.Fatal(err)
	}
	for _, x := range []xmldoc.Document{
		&question{Charter: Hash{1}, Root: Hash{2}}, &question{Charter: Hash{1}, Motions: []carried{{Motion: *m}}},
		full.compare(make([]byte, 8*buckets)), full.reply(&question{Root: Hash{1}}), full.reply(&question{Root: Hash{1}, Buckets: []byte{m.id[0]}}),
		&keyQuery{Number: 3, Card: d.card, Sealed: []byte{1}}, &keyAnswer{Number: 3, Card: d.card}, &keyRequest{Credential: xmldoc.NewNode("Cred", "x")}, e, (*epochTerms)(e),
	} {
		doc, err := xmldoc.Marshal(x)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if q := stays[question](t, b); q != nil {
			full.reply(q)
		}
		if a := stays[answer](t, b); a != nil {
			full.compare(a.Digests)
			full.named(a.Wanted)
		}
		stays[keyQuery](t, b)
		stays[keyAnswer](t, b)
		stays[keyRequest](t, b)
		stays[epochTerms](t, b)
		_, _ = ReadEpoch(b, crew)
	})
}

func FuzzOpen(f *testing.F) {
	k := ring(f)
	if _, err := k.Install(epoch(f, 1, 0), time.Now()); err != nil {
		f.Fatal(err)
	}
	sealed, err := k.Seal([]byte("hello"), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:Sealed])
	f.Fuzz(func(t *testing.T, b []byte) {
		if text, err := k.Open(b, nil); err == nil && (!bytes.Equal(b, sealed) || string(text) != "hello") {
			t.Fatalf("%x opened", b)
		}
	})
}
