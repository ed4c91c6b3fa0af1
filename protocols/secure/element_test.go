package secure

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/juxta-p2p/juxta/core/message"
)

// recorded reads the message of a package that a JXSE peer has sent.
func recorded(t testing.TB, name string) (*message.Message, []byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	_, b, ok := bytes.Cut(b, []byte("\x00\x00\x00")) // the end of the length's first half
	i := bytes.Index(b, []byte("jxmg"))
	if !ok || i < 0 {
		t.Fatalf("%s is no package", name)
	}
	m, err := message.Decode(b[i:])
	if err != nil {
		t.Fatal(err)
	}
	return m, b[i:]
}

func TestRecordings(t *testing.T) {
	m, _ := recorded(t, "tcp-package-tls-block1.bin")
	p, err := parsePacket(m)
	if err != nil || len(p.blocks) != 1 || p.blocks[0].number != 1 || len(p.blocks[0].data) != 163 || p.acked || p.tagged || p.repeat {
		t.Errorf("the first block: %+v, %v", p, err)
	}
	// JXSE puts the block in front, and so do we.
	e := p.blocks[0].element()
	for first := range m.All() {
		want(t, "element", []string{e.Namespace, e.Name, e.Type}, []string{first.Namespace, first.Name, first.Type})
		break
	}

	m, _ = recorded(t, "tcp-package-tls-ack-selective.bin")
	p, err = parsePacket(m)
	if err != nil || len(p.blocks) != 0 || !p.acked {
		t.Errorf("the acknowledgement: %+v, %v", p, err)
	}
	want(t, "acknowledged", p.ack, "{2 [3 4 5]}")
	want(t, "written again", p.ack.body(), p.ackBody)

	m, _ = recorded(t, "tcp-package-tls-block2-certificate.bin")
	p, err = parsePacket(m)
	if err != nil || len(p.blocks) != 1 || p.blocks[0].number != 2 {
		t.Fatalf("the second block: %+v, %v", p, err)
	}
	chain := certificates(t, p.blocks[0].data)
	if err := checkChain(chain); err != nil {
		t.Errorf("a chain of JXSE: %v", err)
	}
	for _, bad := range [][]*x509.Certificate{nil, chain[:1], {chain[1], chain[0]}} {
		if err := checkChain(bad); !errors.Is(err, ErrCertificate) {
			t.Errorf("%d certificates that do not belong together: %v", len(bad), err)
		}
	}
}

// certificates reads the certificates of a TLS 1.0 record.
func certificates(t *testing.T, record []byte) (chain []*x509.Certificate) {
	t.Helper()
	list := record[5+4+3:]
	for len(list) > 3 {
		n := int(binary.BigEndian.Uint32(append([]byte{0}, list[:3]...)))
		cert, err := x509.ParseCertificate(list[3 : 3+n])
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, cert)
		list = list[3+n:]
	}
	return chain
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]uint32{
		"1": 1, "2147483647": maxNumber, "007": 7,
		"": 0, "0": 0, "-1": 0, "+1": 0, " 1": 0, "1 ": 0, "2147483648": 0, "4294967297": 0, "00000000001": 0, "1e3": 0, "٣": 0,
	} {
		if n, ok := parseNumber(text); n != want && ok || ok != (want != 0) {
			t.Errorf("%q: %d, %v", text, n, ok)
		}
	}
}

func TestMalformedElements(t *testing.T) {
	el := func(name, typ string, body []byte) message.Element {
		return message.Element{Namespace: space, Name: name, Type: typ, Body: body}
	}
	good := tag{id: 1, limit: 2, limited: true, seal: make([]byte, sealSize)}
	whole := good.element().Body
	for i := range len(whole) {
		ok := i == tagShort || i == tagLimit
		if _, err := parseTag(whole[:i]); (err == nil) != ok {
			t.Errorf("a tag cut at %d: %v", i, err)
		}
	}
	a := ack{5, []uint32{7, 9, 10}}
	for i := range len(a.body()) {
		if _, err := parseAck(a.body()[:i]); (err == nil) != (i > 0 && i%4 == 0) {
			t.Errorf("a list cut at %d: %v", i, err)
		}
	}
	many := ack{}
	for n := range maxSelective + 1 {
		many.selective = append(many.selective, uint32(n+1))
	}
	for what, m := range map[string]*message.Message{
		"nothing":          message.New(message.Text("", "x", "y")),
		"only a mark":      message.New(message.Text(space, nameRetry, textRetry)),
		"odd number":       message.New(el("x", typeBlock, []byte("a"))),
		"empty block":      message.New(el("1", typeBlock, nil)),
		"large block":      message.New(el("1", typeBlock, make([]byte, maxBlock+1))),
		"no list":          message.New(el(nameAck, typeAck, nil)),
		"descending":       message.New(el(nameAck, typeAck, (&ack{1, []uint32{5, 4}}).body())),
		"doubled":          message.New(el(nameAck, typeAck, (&ack{1, []uint32{5, 5}}).body())),
		"below":            message.New(el(nameAck, typeAck, (&ack{5, []uint32{5}}).body())),
		"negative":         message.New(el(nameAck, typeAck, (&ack{1 << 31, nil}).body())),
		"long list":        message.New(el(nameAck, typeAck, many.body())),
		"two lists":        message.New(el(nameAck, typeAck, a.body()), el(nameAck, typeAck, a.body())),
		"two tags":         message.New(good.element(), good.element()),
		"unknown kind":     message.New(el(nameTag, typeTag, append([]byte{9}, whole[1:]...))),
		"no number":        message.New(el(nameTag, typeTag, make([]byte, tagShort))),
		"too many blocks":  message.New(repeat(el("1", typeBlock, []byte("a")), maxBlocksPerMessage+1)...),
		"block and a list": message.New(el("1", typeBlock, []byte("a")), el(nameAck, typeAck, []byte{1})),
	} {
		if _, err := parsePacket(m); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
}

func repeat(e message.Element, n int) (all []message.Element) {
	for range n {
		all = append(all, e)
	}
	return all
}

// FuzzPacket: no message makes the parser fail otherwise than by an error, and what
// is read is written the same.
func FuzzPacket(f *testing.F) {
	for _, name := range []string{"ack-selective", "block1", "block2-certificate"} {
		_, b := recorded(f, "tcp-package-tls-"+name+".bin")
		f.Add(b)
	}
	t := tag{id: 5, limit: 7, limited: true, seal: make([]byte, sealSize)}
	b, _ := message.New(t.element()).MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := message.Decode(b)
		if err != nil {
			return
		}
		p, err := parsePacket(m)
		if err != nil {
			return
		}
		if p.acked && !bytes.Equal(p.ack.body(), p.ackBody) {
			t.Error("the list is written otherwise")
		}
		if e := p.tag.element(); p.tagged {
			if x, err := parseTag(e.Body); err != nil || x.id != p.tag.id || x.limit != p.tag.limit || !bytes.Equal(x.seal, p.tag.seal) {
				t.Error("the tag is written otherwise")
			}
		}
	})
}

// FuzzStream feeds a stream with packets in any order: it never fails, and never
// holds more than it may.
func FuzzStream(f *testing.F) {
	f.Add([]byte{1, 0, 3, 0, 2, 5, 1, 1, 9, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c counters
		sh := newShared(maxShared)
		st := newStream(juxtaRules, 1, sh, &c, nil)
		_, _ = st.Write(make([]byte, 100<<10))
		data := make([]byte, 4<<10)
		for len(b) > 1 {
			op, n := b[0]%6, uint32(b[1])
			b = b[2:]
			var p packet
			switch op {
			case 0, 1:
				p.blocks = []numbered{{n + 1, data[:1+int(n)*16]}}
			case 2:
				p.acked, p.ack = true, ack{n, []uint32{n + 2, n + 5}}
			case 3:
				_, _, _ = st.step(st.out.lastSent)
			case 4:
				if len(st.in.ready) > 0 {
					_, _ = st.Read(data[:1000])
				}
			case 5:
				p.tag = tag{limit: uint64(n) << 12, limited: true}
			}
			st.take(&p)
			if st.in.held > handshakeWindow+len(data) {
				t.Fatalf("%d octets are held", st.in.held)
			}
			if st.out.flying < 0 || st.out.flyingN < 0 || st.out.lostN < 0 || st.out.acked > st.out.written {
				t.Fatalf("out of step: %+v", st.out)
			}
		}
		st.fail(io.EOF)
		if sh.free.Load() != maxShared {
			t.Fatal("memory was not given back")
		}
	})
}
