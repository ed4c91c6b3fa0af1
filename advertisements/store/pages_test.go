package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// boltFile makes a file of many shapes: inline and large buckets, large values,
// branches, free pages.
func boltFile(t testing.TB, records int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		err := db.Update(func(tx *bbolt.Tx) error {
			for _, name := range []string{"empty", "few", "many"} {
				b, err := tx.CreateBucketIfNotExists([]byte(name))
				if err != nil {
					return err
				}
				n := map[string]int{"few": 3, "many": records}[name]
				for i := range n {
					size := 50
					if i%50 == 0 {
						size = 5_000 * round // more than a page
					}
					if err := b.Put(fmt.Appendf(nil, "%06d", i), make([]byte, size)); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func checkContent(content []byte, pageSize int) error {
	return checkPages(bytes.NewReader(content), int64(len(content)), pageSize)
}

func TestCheckPages(t *testing.T) {
	page := os.Getpagesize()
	for _, n := range []int{0, 1, 100, 3_000} {
		if err := checkContent(boltFile(t, n), page); err != nil {
			t.Errorf("%d records: %v", n, err)
		}
	}

	content := boltFile(t, 3_000)
	c := &pageCheck{f: bytes.NewReader(content), pageSize: uint64(page)}
	meta, err := c.meta()
	if err != nil {
		t.Fatal(err)
	}
	used := native.Uint64(meta[40:])
	branch := uint64(0)
	for n := uint64(firstPage); n < used; n++ {
		if b := content[n*uint64(page):]; native.Uint64(b) == n && native.Uint16(b[8:]) == flagBranch {
			branch = n // of an old tree or of the present one; the present one was written last
		}
	}
	root := native.Uint64(meta[16:])
	at := func(n uint64) int { return int(n) * page }
	for _, c := range []struct {
		name   string
		damage func(b []byte)
	}{
		{"root is no tree", func(b []byte) { native.PutUint16(b[at(root)+8:], flagFreelist) }},
		{"root says it is another page", func(b []byte) { native.PutUint64(b[at(root):], 3) }},
		{"too many elements", func(b []byte) { native.PutUint16(b[at(root)+10:], 0xffff) }},
		{"too many pages", func(b []byte) { native.PutUint32(b[at(root)+12:], 0xffffffff) }},
		{"key beyond the page", func(b []byte) { native.PutUint32(b[at(root)+pageHeader+8:], 0xffffffff) }},
		{"branch that points to itself", func(b []byte) { native.PutUint64(b[at(branch)+pageHeader+8:], branch) }},
		{"branch that points nowhere", func(b []byte) { native.PutUint64(b[at(branch)+pageHeader+8:], used) }},
		{"branch without elements", func(b []byte) { native.PutUint16(b[at(branch)+10:], 0) }},
		{"free list is none", func(b []byte) { native.PutUint16(b[at(native.Uint64(meta[32:]))+8:], flagLeaf) }},
		{"free page that is used", func(b []byte) { native.PutUint64(b[at(native.Uint64(meta[32:]))+pageHeader:], root) }},
		{"free page forgotten", func(b []byte) {
			list := b[at(native.Uint64(meta[32:])):]
			native.PutUint16(list[10:], native.Uint16(list[10:])-1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			damaged := bytes.Clone(content)
			c.damage(damaged)
			if bytes.Equal(damaged, content) {
				t.Fatal("not damaged")
			}
			if err := checkContent(damaged, page); err == nil {
				t.Error("no error")
			}
		})
	}
}

// FuzzPages checks any change of a file: the check itself must end and not panic.
// The change is applied at a place; the meta pages' checksums are mended, so
// that the change counts.
func FuzzPages(f *testing.F) {
	content := boltFile(f, 300)
	page := os.Getpagesize()
	f.Add(uint(2*page+8), []byte{flagBranch})
	f.Add(uint(pageHeader+16), []byte{4})
	f.Add(uint(3*page), []byte("garbage"))
	f.Fuzz(func(t *testing.T, at uint, change []byte) {
		b := bytes.Clone(content)
		copy(b[at%uint(len(b)):], change)
		for i := range firstPage {
			meta := b[i*page+pageHeader:]
			native.PutUint64(meta[metaSize-8:], metaSum(meta))
		}
		_ = checkContent(b, page)
	})
}

// BenchmarkCheckPages tells what the check costs for each octet of the file.
func BenchmarkCheckPages(b *testing.B) {
	content := boltFile(b, 3_000)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if err := checkContent(content, os.Getpagesize()); err != nil {
			b.Fatal(err)
		}
	}
}
