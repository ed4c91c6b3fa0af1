package content_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/content"
)

// two starts ann and bob, near each other in a memory network, each with a service
// that shares files in their net group. It panics where a program would handle
// errors.
func two(dir string, check func(context.Context, content.File) error) (ann, bob *content.Service, stop func()) {
	network := memory.New(memory.Config{})
	start := func(name string, cfg content.Config) (*content.Service, *peergroup.Peer) {
		cfg.Dir = filepath.Join(dir, name)
		s := content.New(cfg)
		p := must(peergroup.Start(context.Background(), peergroup.Config{
			Name: name, NoLAN: true, Modules: []peergroup.Module{s},
			Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name, Segment: "lan"})},
		}))
		return s, p
	}
	ann, p := start("ann", content.Config{})
	bob, q := start("bob", content.Config{Check: check})
	return ann, bob, func() {
		_ = q.Close()
		_ = p.Close()
		_ = os.RemoveAll(dir)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// write makes a file and returns its name.
func write(name, text string) string {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return name
}

// Ann shares a folder; Bob looks for a word, and fetches what he finds.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dir := must(os.MkdirTemp("", "juxta"))
	ann, bob, stop := two(dir, nil)
	defer stop()

	write(dir+"/poems/The Tyger.txt", "Tyger Tyger, burning bright")
	write(dir+"/poems/The Lamb.txt", "Little Lamb who made thee")
	_ = must(ann.Share(ctx, dir+"/poems", content.Description{Words: []string{"Blake"}}))

	for hit, err := range bob.Find(ctx, content.Query{Words: []string{"blake", "ty*r"}}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(hit.Item.Name, hit.Item.MIME, hit.Item.Size)
		file := must(bob.Fetch(ctx, hit.Item.ID, content.FetchConfig{Folder: dir + "/downloads", From: []content.Holder{hit.Holder}}))
		fmt.Println(string(must(os.ReadFile(file.Path))))
		break // one is enough
	}
	// Output:
	// The Tyger.txt text/plain 27
	// Tyger Tyger, burning bright
}

func ExampleService_Share() {
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "juxta"))
	ann, _, stop := two(dir, nil)
	defer stop()

	items, err := ann.Share(ctx, write(dir+"/nocturne.ogg", "…"), content.Description{
		Words: []string{"Chopin"}, MIME: "audio/ogg", Fields: map[string]string{"year": "1832"}, Replicas: 3,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(items[0].Name, items[0].MIME, items[0].Words, items[0].Fields)
	_, err = ann.Share(ctx, write(dir+"/x.txt", "…"), content.Description{Name: "NUL.txt"})
	fmt.Println(errors.Is(err, content.ErrName))
	// Output:
	// nocturne.ogg audio/ogg [chopin] map[year:1832]
	// true
}

func ExampleService_Find() {
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "juxta"))
	ann, bob, stop := two(dir, nil)
	defer stop()
	for _, name := range []string{"alps.jpg", "andes.jpg", "notes.txt"} {
		_ = must(ann.Share(ctx, write(dir+"/"+name, name), content.Description{MIME: "image/jpeg"}))
	}
	_ = must(bob.Share(ctx, write(dir+"/Alps again.jpg", "alps.jpg"), content.Description{MIME: "image/jpeg"}))

	// A search has no end of its own: others may answer late.
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	holders := map[string]int{} // by content
	for hit, err := range bob.Find(ctx, content.Query{Words: []string{"alps"}, MIME: "image/*"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		holders[hit.Item.ID.String()[:8]]++
	}
	fmt.Println(holders)
	// Output: map[2d1a0e9d:2]
}

// A reader fetches the chunks that are read and no others.
func ExampleService_Open() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dir := must(os.MkdirTemp("", "juxta"))
	ann, bob, stop := two(dir, nil)
	defer stop()
	text := strings.Repeat("-", 5_000_000) + "the end"
	items := must(ann.Share(ctx, write(dir+"/long.txt", text), content.Description{}))

	r := must(bob.Open(ctx, items[0].ID))
	defer r.Close()
	_ = must(r.Seek(-7, io.SeekEnd))
	fmt.Println(string(must(io.ReadAll(r))), "of", r.Size(), "octets")
	fmt.Println(bob.Stats().Fetched, "chunk fetched")
	// Output:
	// the end of 5000007 octets
	// 1 chunk fetched
}

// A checker looks at each file before it is in its place.
func ExampleConfig_check() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dir := must(os.MkdirTemp("", "juxta"))
	ann, bob, stop := two(dir, func(_ context.Context, f content.File) error {
		b, err := os.ReadFile(f.Path) // under a temporary name
		if err == nil && strings.Contains(string(b), "EICAR") {
			err = errors.New("this is a virus")
		}
		return err
	})
	defer stop()
	items := must(ann.Share(ctx, write(dir+"/harmless.txt", "EICAR"), content.Description{}))

	_, err := bob.Fetch(ctx, items[0].ID, content.FetchConfig{Folder: dir + "/downloads"})
	fmt.Println(errors.Is(err, content.ErrChecked), err)
	left := must(os.ReadDir(dir + "/downloads"))
	fmt.Println(len(left), "files left")
	// Output:
	// true content: harmless.txt: the file did not pass the check: this is a virus
	// 0 files left
}
