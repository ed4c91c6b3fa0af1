package xfer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

var (
	// ErrClosed: the Receiver is closed.
	ErrClosed = errors.New("xfer: the receiver is closed")

	// ErrIncomplete: a file was given up since no more of it came.
	ErrIncomplete = errors.New("xfer: the rest of the file did not come")

	// ErrBusy: too many files come at a time.
	ErrBusy = errors.New("xfer: too many files at a time")

	// ErrFull: the Receiver has taken as much as it may in all.
	ErrFull = errors.New("xfer: no more files are taken")
)

// File is a file that has come, or has not.
type File struct {
	From string // who sent it, as [Receiver.Take] was told
	Info Info   // what the sender says
	Path string // where it lies; empty if Err is set
	Took time.Duration
	Err  error // why it has not come: [ErrIncomplete], [ErrBusy], [ErrFull], [ErrClosed], or one of the disk
}

// ReceiverConfig configures a [Receiver].
type ReceiverConfig struct {
	// Folder is where files go; it is made if need be. Required.
	Folder string

	// Done is told of each file that has come, or of which the first block has and no
	// file will. It is called on the goroutine of the Receiver, one call at a time, and
	// must not close it. Required.
	Done func(File)
}

// Stats counts the blocks that a Receiver was given.
type Stats struct {
	Blocks           uint64 // that were written
	Files            uint64 // that came whole
	DroppedMalformed uint64 // blocks that are none
	DroppedUnknown   uint64 // blocks of files that nobody began, or that are over
	DroppedRepeated  uint64 // blocks that were there already
}

// Receiver puts files together that come as blocks, in any order, several at a time.
// Its methods are safe for concurrent use. Close it when done.
//
// A file lies in the folder under a name that begins with ".juxta-xfer-" until all of it is
// there. Then it gets its own name, reduced by [PlainName]; if there is a file of that
// name already, NAME.copy, NAME.copy2 and so on.
type Receiver struct {
	cfg    ReceiverConfig
	folder string
	root   *os.Root
	blocks chan block
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// Of the goroutine only.
	open  map[key]*transfer
	total int64 // octets of files that lie here or come

	mu    sync.Mutex
	stats Stats
}

type block struct {
	from string
	*Block
}

// key names a transfer: nobody can write into the files of others.
type key struct{ from, identifier string }

// transfer is a file that comes.
type transfer struct {
	from      string
	info      Info
	file      *os.File
	part      string
	have      []uint64 // a bit for each block
	blocks    int
	left      int // of these
	begun     time.Time
	lastBlock time.Time
}

// NewReceiver makes a Receiver. The error is one of the folder.
func NewReceiver(cfg ReceiverConfig) (*Receiver, error) {
	folder, err := filepath.Abs(cfg.Folder)
	if err != nil {
		return nil, fmt.Errorf("xfer: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("xfer: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("xfer: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Receiver{cfg: cfg, folder: folder, root: root, blocks: make(chan block, waiting), ctx: ctx, cancel: cancel, open: map[key]*transfer{}}
	r.tidy()
	r.wg.Go(r.run)
	return r, nil
}

// What files are called until they are whole.
const (
	partBegins = ".juxta-xfer-"
	partEnds   = ".part"
)

// tidy removes what transfers have left in the folder that were killed long ago. What cannot be
// removed stays.
func (r *Receiver) tidy() {
	f, err := r.root.Open(".")
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	entries, err := f.ReadDir(maxTidied)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), partBegins) || !strings.HasSuffix(e.Name(), partEnds) {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > staleAfter {
			_ = r.root.Remove(e.Name())
		}
	}
}

// Folder returns where files go, as an absolute path.
func (r *Receiver) Folder() string { return r.folder }

// Stats returns the counters.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

func (r *Receiver) count(f func(*Stats)) {
	r.mu.Lock()
	f(&r.stats)
	r.mu.Unlock()
}

// Take takes a message that came from somebody, named as one likes: blocks of one file
// must come from the same. It waits while blocks come faster than they can be
// written, and fails with [ErrClosed], [ErrFormat] or [ErrTooLarge]. The message must not be
// changed afterwards.
func (r *Receiver) Take(from string, m *message.Message) error {
	b, err := ParseBlock(m)
	if err != nil {
		r.count(func(s *Stats) { s.DroppedMalformed++ })
		return err
	}
	select {
	case <-r.ctx.Done():
		return ErrClosed
	default:
	}
	select {
	case r.blocks <- block{from, b}:
		return nil
	case <-r.ctx.Done():
		return ErrClosed
	}
}

// Close gives up the files that are not whole and waits. It is idempotent.
func (r *Receiver) Close() error {
	r.cancel()
	r.wg.Wait()
	return nil
}

func (r *Receiver) run() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	defer func() { _ = r.root.Close() }()
	for {
		select {
		case b := <-r.blocks:
			r.take(b)
		case <-tick.C:
			for k, t := range r.open {
				if time.Since(t.lastBlock) >= idle {
					r.giveUp(k, t, ErrIncomplete)
				}
			}
		case <-r.ctx.Done():
			for {
				select {
				case b := <-r.blocks: // what was taken before
					r.take(b)
					continue
				default:
				}
				break
			}
			for k, t := range r.open {
				r.giveUp(k, t, ErrClosed)
			}
			return
		}
	}
}

func (r *Receiver) take(b block) {
	k := key{b.from, b.Identifier}
	t := r.open[k]
	if t == nil && b.Info != nil {
		var err error
		if t, err = r.begin(b.from, *b.Info); err != nil {
			r.cfg.Done(File{From: b.from, Info: *b.Info, Err: err})
			return
		}
		r.open[k] = t
	}
	if t == nil || b.Sequence >= t.blocks || int64(len(b.Data)) != t.info.length(b.Sequence) {
		r.count(func(s *Stats) { s.DroppedUnknown++ })
		return
	}
	if t.have[b.Sequence/64]&(1<<(b.Sequence%64)) != 0 {
		r.count(func(s *Stats) { s.DroppedRepeated++ })
		return
	}
	if _, err := t.file.WriteAt(b.Data, int64(b.Sequence)*t.info.Block); err != nil {
		r.giveUp(k, t, err)
		return
	}
	t.have[b.Sequence/64] |= 1 << (b.Sequence % 64)
	t.left--
	t.lastBlock = time.Now()
	r.count(func(s *Stats) { s.Blocks++ })
	if t.left == 0 {
		r.finish(k, t)
	}
}

// begin makes the file that blocks go to.
func (r *Receiver) begin(from string, info Info) (*transfer, error) {
	n, err := info.blocks()
	if err != nil {
		return nil, err
	}
	own := 0
	for k := range r.open {
		if k.from == from {
			own++
		}
	}
	if len(r.open) >= maxOpen || own >= maxOpenPeer {
		return nil, ErrBusy
	}
	if r.total+info.Size > MaxTotal {
		return nil, ErrFull
	}
	t := &transfer{from: from, info: info, part: partBegins + rand.Text() + partEnds,
		have: make([]uint64, (n+63)/64), blocks: n, left: n, begun: time.Now(), lastBlock: time.Now()}
	if t.file, err = r.root.OpenFile(t.part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644); err != nil {
		return nil, fmt.Errorf("xfer: %w", err)
	}
	r.total += info.Size
	return t, nil
}

// finish gives the file its name.
func (r *Receiver) finish(k key, t *transfer) {
	if err := errors.Join(t.file.Sync(), t.file.Close()); err != nil {
		r.giveUp(k, t, err)
		return
	}
	name, err := r.place(t.part, PlainName(t.info.Name))
	if err != nil {
		r.giveUp(k, t, err)
		return
	}
	delete(r.open, k)
	r.count(func(s *Stats) { s.Files++ })
	r.cfg.Done(File{From: t.from, Info: t.info, Path: filepath.Join(r.folder, name), Took: time.Since(t.begun)})
}

// place renames a file to the first name that is free.
func (r *Receiver) place(part, name string) (string, error) {
	for i := range maxCopies {
		free := name
		if i > 0 {
			free += ".copy"
		}
		if i > 1 {
			free += strconv.Itoa(i)
		}
		f, err := r.root.OpenFile(free, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) // takes the name
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if err := errors.Join(f.Close(), r.root.Rename(part, free)); err != nil {
			_ = r.root.Remove(free)
			return "", err
		}
		return free, nil
	}
	return "", fs.ErrExist
}

func (r *Receiver) giveUp(k key, t *transfer, err error) {
	delete(r.open, k)
	r.total -= t.info.Size
	_ = t.file.Close()
	_ = r.root.Remove(t.part)
	if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrIncomplete) {
		err = fmt.Errorf("xfer: %w", err)
	}
	r.cfg.Done(File{From: t.from, Info: t.info, Err: err, Took: time.Since(t.begun)})
}
