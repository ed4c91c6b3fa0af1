package xfer_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/shell/xfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cut returns the messages of a file.
func cut(t testing.TB, content []byte, info xfer.Info) []*message.Message {
	t.Helper()
	var all []*message.Message
	info.Size = int64(len(content))
	put := func(_ context.Context, m *message.Message) error { all = append(all, m); return nil }
	if err := xfer.Send(t.Context(), bytes.NewReader(content), info, put, nil); err != nil {
		t.Fatal(err)
	}
	return all
}

// receiver is a Receiver whose files can be waited for.
type receiver struct {
	*xfer.Receiver
	t     *testing.T
	files chan xfer.File
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, files: make(chan xfer.File, 100)}
	var err error
	r.Receiver, err = xfer.NewReceiver(xfer.ReceiverConfig{Folder: filepath.Join(t.TempDir(), "in"), Done: func(f xfer.File) { r.files <- f }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func (r *receiver) take(from string, all ...*message.Message) {
	r.t.Helper()
	for _, m := range all {
		if err := r.Take(from, m); err != nil {
			r.t.Fatal(err)
		}
	}
}

// next returns the next file and what is in it.
func (r *receiver) next() (xfer.File, string) {
	r.t.Helper()
	f := <-r.files
	if f.Err != nil {
		return f, ""
	}
	b, err := os.ReadFile(f.Path)
	if err != nil {
		r.t.Fatal(err)
	}
	return f, string(b)
}

func (r *receiver) names() (all []string) {
	entries, err := os.ReadDir(r.Folder())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// The octets are those of Java's DataOutputStream: an int, UTF texts, longs.
func TestInfoAsJavaWritesIt(t *testing.T) {
	all := cut(t, []byte("hello"), xfer.Info{Peer: "urn:jxta:p", User: "ann", Identifier: "7", Name: "a\x00é€😀", Block: 3, PipeLife: 2 * time.Second})
	info, _ := all[0].Get("", "JxtaXfer:Fileinfo")
	want := "00000002" + "000a" + hex.EncodeToString([]byte("urn:jxta:p")) + "0003616e6e" + "0000" + "00000000000007d0" + "000137" +
		"000e" + "61" + "c080" + "c3a9" + "e282ac" + "eda0bdedb880" + "0000000000000005" + "0000000000000003"
	if got := hex.EncodeToString(info.Body); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if len(all) != 2 || all[0].Text("", "JxtaXfer:Data") != "hel" || all[1].Text("", "JxtaXfer:Data") != "lo" ||
		all[1].Text("", "JxtaXfer:Sequence") != "1" || all[1].Text("", "JxtaXfer:Identifier") != "7" || all[1].Len() != 3 {
		t.Errorf("messages: %v", all)
	}
	b, err := xfer.ParseBlock(all[0])
	if err != nil {
		t.Fatal(err)
	}
	wantInfo := &xfer.Info{Peer: "urn:jxta:p", User: "ann", Identifier: "7", Name: "a\x00é€😀", Size: 5, Block: 3, PipeLife: 2 * time.Second}
	if d := cmp.Diff(wantInfo, b.Info); d != "" {
		t.Error(d)
	}
}

func TestInfoCutAtEveryOctet(t *testing.T) {
	m := cut(t, []byte("hello"), xfer.Info{Name: "x", Identifier: "7"})[0]
	info, _ := m.Get("", "JxtaXfer:Fileinfo")
	for n := range info.Body {
		m.Replace(message.Bytes("", "JxtaXfer:Fileinfo", info.Body[:n]))
		if _, err := xfer.ParseBlock(m); !errors.Is(err, xfer.ErrFormat) {
			t.Fatalf("%d octets: %v", n, err)
		}
	}
}

func TestFilesOfAllSizes(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, 4, 192, 193, 1000} {
		r := newReceiver(t)
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(i*7 + i>>8)
		}
		all := cut(t, content, xfer.Info{Name: "f.bin", Block: 3})
		r.take("a", all...)
		f, got := r.next()
		if f.Err != nil || got != string(content) || filepath.Base(f.Path) != "f.bin" || f.From != "a" || f.Info.User != xfer.Anonymous {
			t.Errorf("%d octets: %d came, %+v", size, len(got), f)
		}
		if names := r.names(); len(names) != 1 {
			t.Errorf("files: %v", names)
		}
	}
}

// Java hands messages to several threads, and the network may repeat them.
func TestBlocksInAnyOrderAndAgain(t *testing.T) {
	r := newReceiver(t)
	all := cut(t, []byte("the quick brown fox"), xfer.Info{Name: "fox", Block: 2})
	r.take("a", all[0])
	rest := slices.Clone(all[1:])
	slices.Reverse(rest)
	for _, m := range rest {
		r.take("a", m, all[0])
	}
	if f, got := r.next(); f.Err != nil || got != "the quick brown fox" {
		t.Errorf("%q, %v", got, f.Err)
	}
	_ = r.Close()
	if s := r.Stats(); s.DroppedRepeated != uint64(len(rest)-1) || s.Files != 1 {
		t.Errorf("%+v", s)
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	r := newReceiver(t)
	var names []string
	for i := range 3 {
		r.take("a", cut(t, fmt.Append(nil, i), xfer.Info{Name: "n.txt"})...)
		f, got := r.next()
		if got != fmt.Sprint(i) {
			t.Errorf("%d: %q, %v", i, got, f.Err)
		}
		names = append(names, filepath.Base(f.Path))
	}
	if d := cmp.Diff([]string{"n.txt", "n.txt.copy", "n.txt.copy2"}, names); d != "" {
		t.Error(d)
	}
}

func TestNobodyWritesIntoTheFilesOfOthers(t *testing.T) {
	r := newReceiver(t)
	all := cut(t, []byte("abcd"), xfer.Info{Name: "n", Block: 2, Identifier: "1"})
	other := cut(t, []byte("xxyy"), xfer.Info{Name: "n", Block: 2, Identifier: "1"})
	r.take("ann", all[0])
	r.take("eve", other[1])
	r.take("ann", all[1])
	if f, got := r.next(); f.Err != nil || got != "abcd" {
		t.Errorf("%q, %v", got, f.Err)
	}
}

func TestPlainName(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt": "a.txt", "../../etc/passwd": "passwd", `C:\x\y.doc`: "y.doc", "/": "unnamed", "": "unnamed", "..": "unnamed",
		".bashrc": "bashrc", "a\x1b[2Jb": "a_[2Jb", "con.txt": "_con.txt", "é😀.png": "é😀.png", "x. ": "x", "a\u202egpj.exe": "a_gpj.exe",
		"a:b": "a_b", strings.Repeat("x", 300): strings.Repeat("x", 200), ".juxta-x": "juxta-x", "a\x00b": "a_b",
	} {
		if got := xfer.PlainName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestHostileBlocks(t *testing.T) {
	r := newReceiver(t)
	for name, change := range map[string]func(*message.Message){
		"no data":             func(m *message.Message) { m.Remove("", "JxtaXfer:Data") },
		"no identifier":       func(m *message.Message) { m.Remove("", "JxtaXfer:Identifier") },
		"another identifier":  func(m *message.Message) { m.Replace(message.Text("", "JxtaXfer:Identifier", "8")) },
		"long identifier":     func(m *message.Message) { m.Replace(message.Text("", "JxtaXfer:Identifier", strings.Repeat("8", 300))) },
		"negative":            func(m *message.Message) { m.Replace(message.Text("", "JxtaXfer:Sequence", "-1")) },
		"sequence of letters": func(m *message.Message) { m.Replace(message.Text("", "JxtaXfer:Sequence", "x")) },
		"large sequence":      func(m *message.Message) { m.Replace(message.Text("", "JxtaXfer:Sequence", "999999999")) },
	} {
		m := cut(t, []byte("abcd"), xfer.Info{Name: "n", Identifier: "7"})[0]
		change(m)
		if err := r.Take("eve", m); !errors.Is(err, xfer.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Sizes that lie.
	claim := func(i xfer.Info, data string) *message.Message {
		return (&xfer.Block{Identifier: i.Identifier, Data: []byte(data), Info: &i}).Message()
	}
	for _, i := range []xfer.Info{
		{Identifier: "1", Size: -1, Block: 1}, {Identifier: "1", Size: 1, Block: 0}, {Identifier: "1", Size: 1, Block: -5},
		{Identifier: "1", Size: xfer.MaxSize + 1, Block: 1000}, {Identifier: "1", Size: xfer.MaxSize, Block: 1}, {Identifier: "1", Size: 1 << 62, Block: 1 << 61},
	} {
		if err := r.Take("eve", claim(i, "x")); err == nil {
			t.Errorf("%+v was taken", i)
		}
	}
	// Blocks of another length, and behind the end.
	first := xfer.Info{Identifier: "2", Name: "n", Size: 4, Block: 2}
	r.take("eve", claim(first, "toolong"))
	for _, b := range []xfer.Block{{Identifier: "2", Sequence: 1, Data: []byte("x")}, {Identifier: "2", Sequence: 2}, {Identifier: "2", Sequence: 3, Data: []byte("xx")}} {
		r.take("eve", b.Message())
	}
	// Too many at a time.
	for i := range 9 {
		r.take("mallory", claim(xfer.Info{Identifier: fmt.Sprint("m", i), Size: 4, Block: 2}, "xx"))
	}
	if f, _ := r.next(); !errors.Is(f.Err, xfer.ErrBusy) || f.From != "mallory" {
		t.Errorf("%+v", f)
	}
	_ = r.Close()
	if names := r.names(); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
	if s := r.Stats(); s.DroppedUnknown != 4 || s.Files != 0 || s.DroppedMalformed != 13 {
		t.Errorf("%+v", s)
	}
	if err := r.Take("a", cut(t, nil, xfer.Info{})[0]); !errors.Is(err, xfer.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestARestThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		r.take("a", cut(t, []byte("abcd"), xfer.Info{Name: "n", Block: 2})[0])
		begun := time.Now()
		f, _ := r.next()
		if !errors.Is(f.Err, xfer.ErrIncomplete) || time.Since(begun) < time.Minute || time.Since(begun) > 5*time.Minute {
			t.Errorf("%v after %v", f.Err, time.Since(begun))
		}
		if names := r.names(); len(names) != 0 {
			t.Errorf("left: %v", names)
		}
	})
}

func TestAllThatIsTaken(t *testing.T) {
	r := newReceiver(t)
	for i := range 5 { // announced, of 4 GiB each
		info := xfer.Info{Identifier: fmt.Sprint(i), Size: xfer.MaxSize, Block: xfer.MaxBlock}
		r.take("a", (&xfer.Block{Identifier: info.Identifier, Data: make([]byte, xfer.MaxBlock), Info: &info}).Message())
	}
	if f, _ := r.next(); !errors.Is(f.Err, xfer.ErrFull) {
		t.Errorf("%v", f.Err)
	}
}

func TestSendFails(t *testing.T) {
	put := func(context.Context, *message.Message) error { return nil }
	err := xfer.Send(t.Context(), strings.NewReader("abc"), xfer.Info{Size: 4}, put, nil)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("shorter: %v", err)
	}
	if err = xfer.Send(t.Context(), nil, xfer.Info{Size: xfer.MaxSize + 1}, put, nil); !errors.Is(err, xfer.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	broken := errors.New("broken")
	err = xfer.Send(t.Context(), strings.NewReader("abc"), xfer.Info{Size: 3}, func(context.Context, *message.Message) error { return broken }, nil)
	if !errors.Is(err, broken) {
		t.Errorf("put: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	if err = xfer.Send(ctx, strings.NewReader("abc"), xfer.Info{Size: 3}, put, nil); !errors.Is(err, broken) {
		t.Errorf("stopped: %v", err)
	}
}

func FuzzParseBlock(f *testing.F) {
	for _, m := range cut(f, []byte("hello"), xfer.Info{Peer: "urn:jxta:p", Name: "a\x00é€😀", Block: 3}) {
		b, err := m.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := message.Decode(b)
		if err != nil {
			return
		}
		x, err := xfer.ParseBlock(m)
		if err != nil {
			return
		}
		if n := xfer.PlainName(x.Identifier); n != filepath.Base(n) || n == "." || n == ".." {
			t.Errorf("%q is not plain", n)
		}
		y, err := xfer.ParseBlock(x.Message())
		if err != nil {
			t.Fatalf("%+v: %v", x, err)
		}
		if d := cmp.Diff(x, y); d != "" {
			t.Error(d)
		}
	})
}

func BenchmarkReceive(b *testing.B) {
	content := make([]byte, 1<<20)
	all := cut(b, content, xfer.Info{Name: "x"})
	r, err := xfer.NewReceiver(xfer.ReceiverConfig{Folder: b.TempDir(), Done: func(xfer.File) {}})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.SetBytes(int64(len(content)))
	for i := range b.N {
		for _, m := range all {
			if err := r.Take(fmt.Sprint(i%4), m); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func ExampleSend() {
	dir, err := os.MkdirTemp("", "xfer")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	done := make(chan xfer.File, 1)
	r, err := xfer.NewReceiver(xfer.ReceiverConfig{Folder: dir, Done: func(f xfer.File) { done <- f }})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	text := "buy milk\n"
	info := xfer.Info{User: "ann", Name: "../notes.txt", Size: int64(len(text))}
	carry := func(_ context.Context, m *message.Message) error { return r.Take("ann's peer", m) } // a pipe, in real life
	if err := xfer.Send(context.Background(), strings.NewReader(text), info, carry, nil); err != nil {
		fmt.Println(err)
		return
	}
	f := <-done
	fmt.Println(filepath.Base(f.Path), f.Info.User, f.Info.Size)
	// Output: notes.txt ann 9
}

// TestTidy: what a killed transfer has left is removed after a day, and nothing else.
func TestTidy(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-25 * time.Hour)
	for name, gone := range map[string]bool{".juxta-xfer-OLD.part": true, ".juxta-xfer-NEW.part": false, "mine.part": false, ".juxta-xfer-notes": false} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if name != ".juxta-xfer-NEW.part" {
			if err := os.Chtimes(file, old, old); err != nil {
				t.Fatal(err)
			}
		}
		defer func() {
			if _, err := os.Stat(file); os.IsNotExist(err) != gone {
				t.Errorf("%s: %v, want it gone: %v", name, err, gone)
			}
		}()
	}
	r, err := xfer.NewReceiver(xfer.ReceiverConfig{Folder: dir})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
}
