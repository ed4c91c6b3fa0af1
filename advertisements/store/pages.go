package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
)

// The pages of a bbolt file, format version 2. Numbers are in the machine's
// order of octets, as bbolt maps them. A page starts with
//
//	8  its number   2  flags   2  count of elements   4  number of pages that follow it
//
// and goes on with elements, or with the fields of the meta page, or with the
// numbers of free pages. Keys and values lie where the elements say.
const (
	pageHeader = 16

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10

	elementSize = 16 // branch: place, key size, page; leaf: flags, place, key size, value size
	flagBucket  = 1  // leaf element whose value is a bucket: root page, sequence, inline page

	bucketHeader = 16

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaSize    = 64 // with the checksum, the last 8

	firstPage  = 2         // after the meta pages
	noFreelist = 1<<64 - 1 // instead of a page: the list is not kept in the file
	manyFree   = 0xFFFF    // count of a free list whose true count comes first

	maxDepth = 64 // of a tree; bbolt's have four levels at most
)

var native = binary.NativeEndian

// pageCheck walks all pages of a file once. bbolt itself trusts what it maps: on
// a file that lost some of its pages it may panic, fault, or run in circles.
type pageCheck struct {
	f        io.ReaderAt
	pageSize uint64
	pages    uint64 // number of pages in use
	seen     map[uint64]bool
}

// checkPages reads the whole file, whose pages have the size, and returns an
// error that wraps errDamaged unless every page is exactly one of: in one place
// of the tree, with its keys in order, or free.
func checkPages(f io.ReaderAt, size int64, pageSize int) error {
	if pageSize < 1<<9 || size < firstPage*int64(pageSize) {
		return fmt.Errorf("%w: %d octets", errDamaged, size)
	}
	c := &pageCheck{f: f, pageSize: uint64(pageSize), seen: make(map[uint64]bool)}
	meta, err := c.meta()
	if err != nil {
		return err
	}
	root, free := native.Uint64(meta[16:]), native.Uint64(meta[32:])
	c.pages = native.Uint64(meta[40:])
	if c.pages > uint64(size)/c.pageSize {
		return fmt.Errorf("%w: %d pages in %d octets", errDamaged, c.pages, size)
	}
	if err := c.tree(root, nil, nil, 0); err != nil {
		return err
	}
	if free == noFreelist {
		return nil
	}
	if err := c.free(free); err != nil {
		return err
	}
	if n := uint64(len(c.seen)); n+firstPage != c.pages {
		return fmt.Errorf("%w: %d of %d pages are neither used nor free", errDamaged, c.pages-firstPage-n, c.pages)
	}
	return nil
}

// meta returns the fields of the newer sound meta page.
func (c *pageCheck) meta() (newest []byte, err error) {
	for i := range uint64(firstPage) {
		b := make([]byte, pageHeader+metaSize)
		if _, err := c.f.ReadAt(b, int64(i*c.pageSize)); err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
		b = b[pageHeader:]
		if native.Uint32(b) != metaMagic || native.Uint32(b[4:]) != metaVersion ||
			native.Uint64(b[metaSize-8:]) != metaSum(b) {
			continue
		}
		if newest == nil || native.Uint64(b[48:]) > native.Uint64(newest[48:]) {
			newest = b
		}
	}
	if newest == nil {
		return nil, fmt.Errorf("%w: no meta page", errDamaged)
	}
	return newest, nil
}

// metaSum is the checksum over the fields of a meta page.
func metaSum(b []byte) uint64 {
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	return sum.Sum64()
}

// read returns a page with those that follow it. Each page may be read once.
func (c *pageCheck) read(n uint64) ([]byte, error) {
	if n < firstPage || n >= c.pages {
		return nil, fmt.Errorf("%w: there is no page %d", errDamaged, n)
	}
	var header [pageHeader]byte
	if _, err := c.f.ReadAt(header[:], int64(n*c.pageSize)); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	more := uint64(native.Uint32(header[12:]))
	if native.Uint64(header[:]) != n || n+more >= c.pages {
		return nil, fmt.Errorf("%w: page %d is another", errDamaged, n)
	}
	for i := n; i <= n+more; i++ {
		if c.seen[i] {
			return nil, fmt.Errorf("%w: page %d is used twice", errDamaged, i)
		}
		c.seen[i] = true
	}
	b := make([]byte, (more+1)*c.pageSize)
	if _, err := c.f.ReadAt(b, int64(n*c.pageSize)); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return b, nil
}

// tree checks the page and all below it. Its keys are not less than low and
// less than high, unless these are nil.
func (c *pageCheck) tree(n uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: page %d is too deep", errDamaged, n)
	}
	b, err := c.read(n)
	if err != nil {
		return err
	}
	return c.node(b, n, low, high, depth)
}

// node checks the branch or leaf in b.
func (c *pageCheck) node(b []byte, n uint64, low, high []byte, depth int) error {
	flags, count := native.Uint16(b[8:]), int(native.Uint16(b[10:]))
	if flags != flagBranch && flags != flagLeaf || pageHeader+count*elementSize > len(b) ||
		flags == flagBranch && count == 0 {
		return fmt.Errorf("%w: page %d has %d elements and flags %#x", errDamaged, n, count, flags)
	}
	var previous []byte
	for i := range count {
		at := pageHeader + i*elementSize
		key, value, ok := element(b, at, flags)
		if !ok {
			return fmt.Errorf("%w: page %d, element %d", errDamaged, n, i)
		}
		if i == 0 && bytes.Compare(key, low) < 0 || i > 0 && bytes.Compare(key, previous) <= 0 ||
			high != nil && bytes.Compare(key, high) >= 0 {
			return fmt.Errorf("%w: page %d, element %d is out of order", errDamaged, n, i)
		}
		previous = key
		var err error
		switch {
		case flags == flagBranch:
			next := high
			if i+1 < count {
				if next, _, ok = element(b, at+elementSize, flags); !ok {
					return fmt.Errorf("%w: page %d, element %d", errDamaged, n, i+1)
				}
			}
			err = c.tree(native.Uint64(b[at+8:]), key, next, depth+1)
		case native.Uint32(b[at:])&flagBucket != 0:
			err = c.bucket(value, n, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// element returns the key and, of a leaf, the value of the element at the place.
func element(b []byte, at int, flags uint16) (key, value []byte, ok bool) {
	place, keySize, valueSize := uint64(native.Uint32(b[at+4:])), uint64(native.Uint32(b[at+8:])), uint64(native.Uint32(b[at+12:]))
	if flags == flagBranch {
		place, keySize, valueSize = uint64(native.Uint32(b[at:])), uint64(native.Uint32(b[at+4:])), 0
	}
	start := uint64(at) + place
	if start+keySize+valueSize > uint64(len(b)) {
		return nil, nil, false
	}
	return b[start : start+keySize], b[start+keySize : start+keySize+valueSize], true
}

// bucket checks a bucket in an element of page n: a tree, or a leaf inside it.
func (c *pageCheck) bucket(value []byte, n uint64, depth int) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("%w: page %d, bucket of %d octets", errDamaged, n, len(value))
	}
	if root := native.Uint64(value); root != 0 {
		return c.tree(root, nil, nil, depth)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != flagLeaf || depth > maxDepth {
		return fmt.Errorf("%w: page %d, inline bucket", errDamaged, n)
	}
	return c.node(inline, n, nil, nil, depth)
}

// free checks the list of free pages.
func (c *pageCheck) free(n uint64) error {
	b, err := c.read(n)
	if err != nil {
		return err
	}
	count, ids := uint64(native.Uint16(b[10:])), b[pageHeader:]
	if count == manyFree {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if native.Uint16(b[8:]) != flagFreelist || count > uint64(len(ids))/8 {
		return fmt.Errorf("%w: page %d is no list of %d free pages", errDamaged, n, count)
	}
	for i := range count {
		id := native.Uint64(ids[i*8:])
		if id < firstPage || id >= c.pages || c.seen[id] {
			return fmt.Errorf("%w: page %d is free and not", errDamaged, id)
		}
		c.seen[id] = true
	}
	return nil
}
