package message_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/juxta-p2p/juxta/core/message"
)

func TestZeroMessage(t *testing.T) {
	var m message.Message
	if m.Len() != 0 || m.Text("", "x") != "" || m.Remove("", "x") {
		t.Error("the zero message is not empty")
	}
	b, err := m.MarshalBinary()
	if err != nil || string(b) != "jxmg\x00\x00\x00\x00\x00" {
		t.Errorf("got %q, %v", b, err)
	}
	m.Replace(message.Text("", "x", "1"))
	if m.Len() != 1 || m.Text("", "x") != "1" {
		t.Error("the zero message does not take elements")
	}
}

func TestGetFindsTheFirst(t *testing.T) {
	m := message.New(message.Text("app", "x", "1"), message.Text("", "x", "2"), message.Text("app", "x", "3"))
	if got := m.Text("app", "x"); got != "1" {
		t.Errorf("app:x is %q, want the first", got)
	}
	if got := m.Text("", "x"); got != "2" {
		t.Errorf(":x is %q, want that of its namespace", got)
	}
	if _, ok := m.Get("jxta", "x"); ok {
		t.Error("found an element of another namespace")
	}
}

func TestNewKeepsNoReference(t *testing.T) {
	mine := make([]message.Element, 2, 4)
	mine[0], mine[1] = message.Text("", "a", ""), message.Text("", "b", "")
	m := message.New(mine...)
	m.Remove("", "a")
	m.Add(message.Text("", "c", ""))
	if mine[0].Name != "a" || mine[1].Name != "b" || mine[:3][2].Name != "" {
		t.Errorf("the caller's slice was altered: %v", mine[:3])
	}
}

func TestCloneIsIndependent(t *testing.T) {
	m := message.New(message.Text("", "a", ""), message.Text("", "b", ""))
	c := m.Clone()
	c.Replace(message.Text("", "a", "new"))
	c.Remove("", "b")
	m.Add(message.Text("", "d", ""))
	if c.Len() != 1 || m.Len() != 3 || m.Text("", "a") != "" {
		t.Errorf("the clone has %d elements, the original %d", c.Len(), m.Len())
	}
}

// A model of the message as plain names, under random edits.
func TestPropertyEdits(t *testing.T) {
	type key struct{ ns, name, text string }
	rapid.Check(t, func(t *rapid.T) {
		var m message.Message
		var model []key
		draw := func(t *rapid.T) key {
			return key{
				rapid.SampledFrom([]string{"", "app"}).Draw(t, "ns"),
				rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"),
				rapid.SampledFrom([]string{"1", "2"}).Draw(t, "text"),
			}
		}
		drop := func(k key) bool {
			n := len(model)
			model = slices.DeleteFunc(model, func(o key) bool { return o.ns == k.ns && o.name == k.name })
			return len(model) < n
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				k := draw(t)
				m.Add(message.Text(k.ns, k.name, k.text))
				model = append(model, k)
			},
			"remove": func(t *rapid.T) {
				k := draw(t)
				if got, want := m.Remove(k.ns, k.name), drop(k); got != want {
					t.Fatalf("Remove says %t, want %t", got, want)
				}
			},
			"replace": func(t *rapid.T) {
				k := draw(t)
				m.Replace(message.Text(k.ns, k.name, k.text))
				drop(k)
				model = append(model, k)
			},
			"": func(t *rapid.T) {
				var got []key
				for e := range m.All() {
					got = append(got, key{e.Namespace, e.Name, e.Text()})
				}
				if !slices.Equal(got, model) {
					t.Fatalf("got %v, want %v", got, model)
				}
			},
		})
	})
}

func TestBaseType(t *testing.T) {
	var table []struct {
		In, Base string
		Error    bool
	}
	readJSON(t, "testdata/mime.json", &table)
	if len(table) < 14 {
		t.Fatalf("%d cases", len(table))
	}
	for _, tt := range table {
		want := tt.Base
		if tt.Error {
			want = message.TypeOctets // JXSE 2.5 refuses the message
		}
		if got := message.BaseType(tt.In); got != want {
			t.Errorf("BaseType(%q) = %q, want %q", tt.In, got, want)
		}
	}
	for in, want := range map[string]string{
		"":                            message.TypeOctets,
		"TEXT/XML; charset=\"UTF-8\"": "text/xml",
		" text/xml ;charset=UTF-8":    "text/xml",
		"Application/X-Jxta-Msg":      message.ContentType,
		message.TypeGzip:              message.TypeGzip,
		"text /xml":                   message.TypeOctets,
		"text/x ml":                   message.TypeOctets,
		"text/xml/x":                  message.TypeOctets,
		"téxt/xml":                    message.TypeOctets,
		";":                           message.TypeOctets,
		"a/b\x00":                     message.TypeOctets,
	} {
		if got := message.BaseType(in); got != want {
			t.Errorf("BaseType(%q) = %q, want %q", in, got, want)
		}
	}
}
