package jxsetest_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
)

// large is the size of a message that takes many reads.
const large = 1 << 20

// TestMessagesKeepTheirElements: elements of all shapes cross between Juxta and
// Java with order, names, types and octets as they were.
func TestMessagesKeepTheirElements(t *testing.T) {
	t.Parallel()
	j := startJava(t, "jr", "rendezvous")
	p := startGo(t, peergroup.Config{Name: "ge"}, j.addr)
	connected(t, p)

	adv := advertisements.NewPipe(p.Net().ID(), "to java", advertisements.Unicast)
	in := "pipe=" + j.Do("inpipe", "xml="+compact(t, adv)).Text("pipe")
	out, err := p.Net().Pipes().Dial(within(t, soon), adv)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	sent := message.New(
		message.Text("app", "text", odd),
		message.Bytes("", "without-namespace", []byte("x")),
		message.Bytes("app", "", []byte("without name")),
		message.Bytes("app", "empty", nil),
		message.Bytes("app", "octets", every),
		message.Text("app", "text", "the second of that name"),
		message.Text("größer", "漢字", "names beyond ASCII"),
		message.Element{Namespace: "app", Name: "typed", Type: "application/x-some;a=b", Body: []byte("typed")},
		message.XML("jxta", "doc", []byte("<?xml version=\"1.0\"?>\n<a>1</a>\n")),
		message.Bytes("app", strings.Repeat("n", 300), []byte("a long name")),
	)
	if err := out.Send(within(t, soon), sent); err != nil {
		t.Fatal(err)
	}
	j.Do("waitpipe", in, "count=1")
	messages := j.Do("got", in)["messages"].([]any)
	if len(messages) != 1 {
		t.Fatalf("%d messages came to Java", len(messages))
	}
	var got []string
	for _, e := range messages[0].([]any) {
		x := e.(map[string]any)
		got = append(got, fmt.Sprintf("%v|%v|%v|%v", x["ns"], x["name"], strings.ToLower(strings.ReplaceAll(x["mime"].(string), "\"", "")), x["bytes"]))
	}
	var want []string
	for e := range sent.All() {
		typ := e.Type
		if typ == "" {
			typ = message.TypeOctets
		}
		want = append(want, fmt.Sprintf("%s|%s|%s|%d", e.Namespace, e.Name, strings.ToLower(typ), len(e.Body)))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("Java got\n%s\nsent were\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	t.Logf("%d elements came to Java", len(got))

	j.Do("pipereset", in)
	body := bytes.Repeat([]byte("0123456789abcdef"), large/16)
	if err := out.Send(within(t, soon), message.New(message.Bytes("app", "large", body))); err != nil {
		t.Fatal(err)
	}
	if n := j.Do("waitpipe", in, "count=1").Int("bytes"); n < large {
		t.Errorf("Java got %d octets", n)
	}

	adv = advertisements.NewPipe(p.Net().ID(), "to juxta", advertisements.Unicast)
	input, err := p.Net().Pipes().Listen(t.Context(), adv)
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	back := "pipe=" + openOutput(t, j, adv)
	j.Do("sendtext", back, "app:text="+odd, ":without-namespace=x", "app:empty=", "größer:漢字=names beyond ASCII")
	m, err := input.Receive(within(t, soon))
	if err != nil {
		t.Fatal(err)
	}
	got = nil
	for e := range m.All() {
		got = append(got, fmt.Sprintf("%s|%s|%s|%s", e.Namespace, e.Name, message.BaseType(e.Type), e.Body))
	}
	want = []string{
		"app|text|text/plain|" + odd, "|without-namespace|text/plain|x", "app|empty|text/plain|",
		"größer|漢字|text/plain|names beyond ASCII",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("Juxta got\n%s\nsent were\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	j.Do("send", back, "count=1", fmt.Sprintf("size=%d", large))
	if m, err = input.Receive(within(t, soon)); err != nil {
		t.Fatal(err)
	}
	if e, _ := m.Get("juxta", "body"); len(e.Body) != large || e.Body[0] != 1 || e.Body[large-1] != 0 {
		t.Errorf("Juxta got %d octets", len(e.Body))
	}
}

// TestMessageInAMessage: an element of the type of messages makes a Java peer
// close a TCP connection. That costs the message, and maybe what is right behind
// it, but not more. From Java such an element is taken.
func TestMessageInAMessage(t *testing.T) {
	t.Parallel()
	j := startJava(t, "jr", "rendezvous")
	p := startGo(t, peergroup.Config{Name: "ge"}, j.addr)
	connected(t, p)
	adv := advertisements.NewPipe(p.Net().ID(), "to java", advertisements.Unicast)
	in := "pipe=" + j.Do("inpipe", "xml="+compact(t, adv)).Text("pipe")
	out, err := p.Net().Pipes().Dial(within(t, soon), adv)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	inner, err := message.New(message.Text("app", "n", "1")).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	link := p.Endpoint().LinkTo(j.id)
	err = out.Send(within(t, soon), message.New(message.Element{
		Namespace: "app", Name: "inner", Type: message.ContentType, Body: inner,
	}))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "Java closes the connection", func() bool { return p.Endpoint().LinkTo(j.id) != link })
	connected(t, p)
	if err := out.Send(within(t, soon), numbered(1)); err != nil {
		t.Fatal(err)
	}
	if r := j.Do("waitpipe", in, "count=1"); r.Int("distinct") != 1 || r.Int("unnumbered") != 0 {
		t.Errorf("Java got %v", r)
	}

	adv = advertisements.NewPipe(p.Net().ID(), "to juxta", advertisements.Unicast)
	input, err := p.Net().Pipes().Listen(t.Context(), adv)
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	j.Do("sendtext", "pipe="+openOutput(t, j, adv), "app:inner="+string(inner), "mime="+message.ContentType)
	m, err := input.Receive(within(t, soon))
	if e, _ := m.Get("app", "inner"); err != nil || e.Type != message.ContentType || !bytes.Equal(e.Body, inner) {
		t.Errorf("from Java: %+v, %v", e, err)
	}
}
