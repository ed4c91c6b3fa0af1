package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/protocols/discovery"
)

// local is a file that this peer shares.
type local struct {
	root string // folder, absolute
	name string // within it, with slashes
	size int64
	time int64 // of its last change, nanoseconds
	man  *manifest
	item Item
}

func place(root, name string) string { return root + "\x00" + name }

// own reports whether the file lies in the service's folder.
func (s *Service) own(l *local) bool { return l.root == s.cfg.Dir }

// stamp tells whether a file is still the one that was hashed.
func stamp(i fs.FileInfo) (size, time int64) { return i.Size(), i.ModTime().UnixNano() }

// errChanged is the cause when a file changes while it is read.
var errChanged = errors.New("the file has changed")

// open opens a shared file if it is still the one that was hashed. What has become
// a link out of its folder, or no regular file, is not opened.
func (l *local) open() (*os.File, error) {
	root, err := os.OpenRoot(l.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Lstat(l.name)
	if err != nil {
		return nil, err
	}
	if size, time := stamp(info); !info.Mode().IsRegular() || size != l.size || time != l.time {
		return nil, errChanged
	}
	return root.Open(l.name)
}

// add shares a file, which lies in a folder under a name with slashes. It is
// hashed unless that was done and it has not changed since.
func (s *Service) add(ctx context.Context, folder, name string, d Description) (*local, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file: %w", name, fs.ErrInvalid)
	}
	l := &local{root: folder, name: name}
	l.size, l.time = stamp(info)
	l.item = Item{
		Name: d.Name, Size: l.size, MIME: d.MIME, Fields: maps.Clone(d.Fields), Replicas: d.Replicas,
	}
	if l.item.Name == "" {
		l.item.Name = path.Base(name)
	}
	for _, w := range d.Words {
		l.item.Words = append(l.item.Words, strings.Fields(strings.ToLower(w))...)
	}
	check := l.item
	check.ID[0] = 1
	if err := check.check(); err != nil {
		if errors.Is(err, ErrName) {
			s.stats.names.Add(1)
		}
		return nil, err
	}
	s.mu.Lock()
	old := s.files[place(folder, name)]
	full := old == nil && len(s.files) >= maxShared
	s.mu.Unlock()
	if full {
		return nil, fmt.Errorf("%d files are shared: %w", maxShared, ErrLimit)
	}
	if old != nil && old.size == l.size && old.time == l.time {
		l.man = old.man
		if d.MIME == "" {
			l.item.MIME = old.item.MIME
		}
	} else if err := s.hash(ctx, root, l); err != nil {
		return nil, err
	}
	l.item.ID = l.man.id()
	if s.cfg.Refused(l.item.ID) {
		s.stats.refused.Add(1)
		return nil, fmt.Errorf("%s: %w", name, ErrRefused)
	}
	s.enter(l)
	return l, nil
}

// hash reads a file for its manifest, and for its type unless that is known.
func (s *Service) hash(ctx context.Context, root *os.Root, l *local) error {
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	f, err := root.Open(l.name)
	if err != nil {
		return err
	}
	defer f.Close()
	if l.item.MIME == "" {
		if l.item.MIME, err = typeOf(l.name, f); err != nil {
			return err
		}
	}
	if l.man, err = makeManifest(&reading{ctx, f}, l.size); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if size, time := stamp(info); size != l.size || time != l.time || l.man.size != size {
		return fmt.Errorf("%s: %w while it was hashed", l.name, errChanged)
	}
	s.stats.hashed.Add(1)
	return nil
}

// reading ends with its context.
type reading struct {
	ctx context.Context
	r   io.Reader
}

func (r *reading) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// typeOf guesses the type of a file by its extension, else by its beginning.
func typeOf(name string, f io.ReaderAt) (string, error) {
	const sniffed = 512
	guess := mime.TypeByExtension(strings.ToLower(path.Ext(name)))
	if guess == "" {
		head := make([]byte, sniffed)
		n, err := f.ReadAt(head, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		guess = http.DetectContentType(head[:n])
	}
	guess, _, _ = strings.Cut(guess, ";")
	return strings.TrimSpace(guess), nil
}

// enter takes a file among those shared, in the place of what was shared from
// the same place before.
func (s *Service) enter(l *local) {
	at := place(l.root, l.name)
	s.mu.Lock()
	old := s.files[at]
	s.files[at] = l
	s.byID[l.item.ID] = l
	var gone, left = ID{}, (*local)(nil)
	if old != nil && old.item.ID != l.item.ID {
		gone, left = old.item.ID, s.lost(old)
	}
	s.mu.Unlock()
	s.table.put(Hit{l.item, Holder{s.self, s.pipe}})
	if !gone.IsZero() && left == nil {
		s.table.take(gone, s.self)
		s.withdraw(gone)
		s.replicasChanged(old.item)
	}
}

// replicasChanged tells the keepers of changes that matter to them.
func (s *Service) replicasChanged(items ...Item) {
	if slices.ContainsFunc(items, func(it Item) bool { return it.Replicas > 0 }) {
		s.keeper.changed()
	}
}

// lost takes a file that is not in files any more out of byID, and puts another
// one with the same content in its place, which it returns. It wants mu.
func (s *Service) lost(l *local) *local {
	if s.byID[l.item.ID] != l {
		return s.byID[l.item.ID]
	}
	delete(s.byID, l.item.ID)
	for _, other := range s.files {
		if other.item.ID == l.item.ID {
			s.byID[l.item.ID] = other
			return other
		}
	}
	return nil
}

// forget shares a file no more. In the service's own folder it is removed.
func (s *Service) forget(l *local) error {
	s.mu.Lock()
	if s.files[place(l.root, l.name)] == l {
		delete(s.files, place(l.root, l.name))
	}
	left := s.lost(l)
	s.mu.Unlock()
	switch {
	case left == nil:
		s.table.take(l.item.ID, s.self)
		s.withdraw(l.item.ID)
		s.replicasChanged(l.item)
	case left.item.Name != l.item.Name: // it goes on under another description
		s.table.put(Hit{left.item, s.holder()})
		s.announce(left.item)
	}
	if !s.own(l) {
		return nil
	}
	err := s.removeOwn(l.name)
	s.release(l.name)
	return err
}

func (s *Service) removeOwn(name string) error {
	root, err := os.OpenRoot(s.cfg.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// file returns the shared file of a content.
func (s *Service) file(c ID) (*local, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.byID[c]
	return l, ok
}

// announce tells the index what this peer shares.
func (s *Service) announce(items ...Item) {
	switch s.cfg.Index {
	case Central:
		s.wakeTeller()
	case Rendezvous:
		for _, it := range items {
			adv := &Share{Item: it, Peer: s.self, Pipe: *s.pipe}
			err := s.g.Discovery().Publish(s.ctx, adv, discovery.Lifetime{Local: discovery.Forever, Remote: copyLife})
			if err != nil && s.ctx.Err() == nil {
				s.log.Error("a content cannot be published", "id", it.ID, "error", err)
			}
		}
	}
	s.replicasChanged(items...)
}

// dropStale takes back what this peer has published before and does not share any
// more: the cache of discovery may outlive a crash.
func (s *Service) dropStale() {
	if s.cfg.Index != Rendezvous {
		return
	}
	for _, r := range s.g.Discovery().Local(discovery.Query{Kind: advertisements.Advs, Attr: "Hash", Value: "*"}) {
		if h, ok := hit(r.Adv); ok && h.Holder.Peer == s.self {
			if _, ok := s.file(h.Item.ID); !ok {
				s.withdraw(h.Item.ID)
			}
		}
	}
}

// goodbye takes back what this peer has announced, when the service ends, so that
// nobody asks for it in vain.
func (s *Service) goodbye() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeWait)
	defer cancel()
	switch s.cfg.Index {
	case Rendezvous:
		for _, it := range s.table.all() {
			if err := s.g.Discovery().Remove(ctx, &Share{Item: it, Peer: s.self, Pipe: *s.pipe}); errors.Is(err, discovery.ErrClosed) || ctx.Err() != nil {
				return
			}
		}
	case Central:
		if s.index == nil {
			s.sayGoodbye(ctx)
		}
	}
}

// withdraw tells the index that this peer does not share a content any more.
func (s *Service) withdraw(c ID) {
	switch s.cfg.Index {
	case Central:
		s.wakeTeller()
	case Rendezvous:
		adv := &Share{Item: Item{ID: c}, Peer: s.self, Pipe: *s.pipe}
		if err := s.g.Discovery().Remove(s.ctx, adv); err != nil && !errors.Is(err, discovery.ErrNotFound) && s.ctx.Err() == nil {
			s.log.Error("a content cannot be withdrawn", "id", c, "error", err)
		}
	}
}

// Shared returns what this peer shares, in order of ID. What is shared from
// several places under one ID is one content, as it was described last.
func (s *Service) Shared() []Item {
	items := s.table.all()
	for i := range items {
		items[i].Words, items[i].Fields = slices.Clone(items[i].Words), maps.Clone(items[i].Fields)
	}
	return items
}

// Unshare ends sharing a content, wherever it lies; of a folder that is its list,
// since its files are contents of their own. Files in Config.Dir are removed,
// others are left alone. The error wraps [ErrNotFound] if it was not shared.
func (s *Service) Unshare(ctx context.Context, c ID) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	var all []*local
	for _, l := range s.files {
		if l.item.ID == c {
			all = append(all, l)
		}
	}
	s.mu.Unlock()
	if len(all) == 0 {
		return fmt.Errorf("content: %v: %w", c, ErrNotFound)
	}
	var errs []error
	for _, l := range all {
		errs = append(errs, s.forget(l))
	}
	errs = append(errs, s.save(ctx))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("content: %w", err)
	}
	return nil
}

// holder is this peer as one who gives.
func (s *Service) holder() Holder { return Holder{Peer: s.self, Pipe: s.pipe} }
