package content

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// partSuffix ends the names of files that are being fetched, manifestSuffix those
// of their manifests.
const (
	partSuffix     = ".part"
	manifestSuffix = ".list"
)

// FetchConfig says what to do with what is fetched. The zero value keeps it in the
// service's own folder.
type FetchConfig struct {
	// Folder is where to put the file. Empty means Config.Dir, where it counts for
	// the quota and is shared with the group.
	Folder string

	// Name is that of the file in the folder, with slashes for folders within it.
	// Empty means the name that a holder gives it. Both must pass [CheckName].
	// Without Folder it has no meaning.
	Name string

	// Share shares the file from Folder.
	Share bool

	// From are holders that are known; others are looked for besides.
	From []Holder

	// Patience is how long to go on without getting anything. Zero means a minute.
	Patience time.Duration
}

// File is a file that was fetched.
type File struct {
	Path string // during Config.Check a temporary one
	Item Item   // as a holder describes it; of ID and Size it is sure that they are true
}

// Fetch gets a content from all who have it and returns when the file lies in its
// place, whole, verified and checked. What is there of it already, since an earlier
// Fetch to the same place was broken off, is verified and not fetched again. It is
// no error if the whole file is there.
//
// The error wraps [ErrRefused], [ErrName], [ErrQuota], [ErrChecked], [ErrBusy],
// [ErrNoHolder], fs.ErrExist if another file is in the place, what the file system
// said, or ctx's cause. After all but ErrChecked a later Fetch goes on.
func (s *Service) Fetch(ctx context.Context, c ID, cfg FetchConfig) (File, error) {
	if err := s.ready(ctx); err != nil {
		return File{}, err
	}
	ctx, done := s.bound(ctx)
	defer done()
	f, err := s.fetch(ctx, c, cfg)
	if err != nil {
		return File{}, fmt.Errorf("content: %w", err)
	}
	return f, nil
}

func (s *Service) fetch(ctx context.Context, c ID, cfg FetchConfig) (File, error) {
	cfg.Patience = cmp.Or(cfg.Patience, patience)
	if s.cfg.Refused(c) {
		s.stats.refused.Add(1)
		return File{}, ErrRefused
	}
	keep := cfg.Folder == ""
	if keep {
		if l, ok := s.file(c); ok && s.own(l) {
			return File{filepath.Join(l.root, filepath.FromSlash(l.name)), l.item}, nil
		}
		cfg.Folder, cfg.Share = s.cfg.Dir, true
	}
	folder, err := filepath.Abs(cfg.Folder)
	if err != nil {
		return File{}, err
	}
	w := s.newSwarm(ctx, c, cfg.From)
	defer w.close()
	it, err := s.name(ctx, w, cfg)
	if err != nil {
		return File{}, err
	}
	name := it.Name
	if cfg.Name != "" {
		name = cfg.Name
	}
	if keep {
		name = path.Join(keptFolder, c.String())
	} else if err := CheckName(name); err != nil {
		s.stats.names.Add(1)
		return File{}, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return File{}, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return File{}, err
	}
	defer root.Close()
	g := &getting{s: s, w: w, root: root, folder: folder, name: name, item: it, cfg: cfg, keep: keep}
	if !s.begin(place(folder, name)) {
		return File{}, ErrBusy
	}
	defer s.end(place(folder, name))
	return g.get(ctx)
}

// name waits until it is known what to call the file.
func (s *Service) name(ctx context.Context, w *swarm, cfg FetchConfig) (Item, error) {
	unnamed := Item{ID: w.id, Name: w.id.String()}
	if l, ok := s.file(w.id); ok {
		return l.item, nil
	}
	if it, _, ok := w.described(); ok {
		return it, nil
	}
	if cfg.Name != "" && !cfg.Share {
		return unnamed, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Patience)
	defer cancel()
	for _, h := range cfg.From[:min(len(cfg.From), window)] { // whoever is first, or the search
		w.wg.Go(func() {
			if it, ok := s.described(w.ctx, h, w.id); ok {
				w.describe(it)
			}
		})
	}
	for {
		it, changed, ok := w.described()
		if ok {
			return it, nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return Item{}, fmt.Errorf("%v: %w", w.id, ErrNoHolder)
			}
			return Item{}, context.Cause(ctx)
		case <-changed:
		}
	}
}

// begin reserves a place for a fetch; it reports false if there is one.
func (s *Service) begin(at string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetching[at] {
		return false
	}
	s.fetching[at] = true
	return true
}

func (s *Service) end(at string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fetching, at)
}

// getting is one fetch to one place.
type getting struct {
	s            *Service
	w            *swarm
	root         *os.Root // of folder
	folder, name string
	item         Item
	cfg          FetchConfig
	keep         bool // in the service's own folder
}

// part is the name under which the file lies until it is whole and checked: beside
// its place, and the same whenever it is tried again.
func (g *getting) part() string {
	return path.Join(path.Dir(g.name), partPrefix+g.w.id.String()+partSuffix)
}

func (g *getting) list() string {
	return path.Join(path.Dir(g.name), partPrefix+g.w.id.String()+manifestSuffix)
}

func (g *getting) get(ctx context.Context) (File, error) {
	if done, err := g.there(ctx); done || err != nil {
		if err != nil {
			return File{}, err
		}
		return g.finish(ctx)
	}
	m, err := g.manifest(ctx)
	if err != nil {
		return File{}, err
	}
	g.item.Size = m.size
	if g.keep {
		if err := g.s.reserve(g.name, m.size); err != nil {
			return File{}, err
		}
	}
	if err := g.root.MkdirAll(path.Dir(g.name), 0o755); err != nil {
		return File{}, err
	}
	if err := g.saveManifest(m); err != nil {
		return File{}, err
	}
	f, err := g.root.OpenFile(g.part(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return File{}, err
	}
	err = g.fill(ctx, f, m)
	if err == nil {
		err = f.Truncate(m.size)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return File{}, err
	}
	if err := g.check(ctx); err != nil {
		return File{}, err
	}
	if _, err := g.root.Lstat(g.name); err == nil {
		return File{}, fmt.Errorf("%s: %w", g.name, fs.ErrExist)
	}
	if err := g.root.Rename(g.part(), g.name); err != nil {
		return File{}, err
	}
	if err := g.root.Remove(g.list()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return File{}, err
	}
	if err := syncFolder(g.root, path.Dir(g.name)); err != nil {
		return File{}, err
	}
	g.s.stats.fetchedFiles.Add(1)
	return g.finish(ctx)
}

// there reports whether the file is in its place already; another one is an error.
func (g *getting) there(ctx context.Context) (bool, error) {
	info, err := g.root.Lstat(g.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s: %w", g.name, fs.ErrExist)
	}
	f, err := g.root.Open(g.name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	m, err := makeManifest(&reading{ctx, f}, ChunkSize)
	switch {
	case err != nil:
		return false, err
	case m.id() != g.w.id:
		return false, fmt.Errorf("%s: %w", g.name, fs.ErrExist)
	}
	g.item.Size = m.size
	return true, nil
}

// manifest returns the manifest: of what is shared here, of a fetch that was broken
// off, or from a holder.
func (g *getting) manifest(ctx context.Context) (*manifest, error) {
	if l, ok := g.s.file(g.w.id); ok {
		g.w.know(l.man)
		return l.man, nil
	}
	if b, err := g.readSmall(g.list()); err == nil {
		if m, err := readManifest(b); err == nil && m.id() == g.w.id {
			g.w.know(m)
			return m, nil
		}
	}
	return g.w.manifest(ctx, g.cfg.Patience)
}

// readSmall reads a file that cannot be larger than a manifest.
func (g *getting) readSmall(name string) ([]byte, error) {
	f, err := g.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(maxManifest)+1))
}

func (g *getting) saveManifest(m *manifest) error {
	f, err := g.root.OpenFile(g.list(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(m.encode()) // damaged by a crash, it does not have the hash and is fetched anew
	return errors.Join(err, f.Close())
}

// fill brings the chunks into the file that are not there yet.
func (g *getting) fill(ctx context.Context, f *os.File, m *manifest) error {
	missing, err := g.missing(ctx, f, m)
	if err != nil || len(missing) == 0 {
		return err
	}
	if l, ok := g.s.file(g.w.id); ok {
		if missing, err = g.copyLocal(ctx, f, l, missing); err != nil {
			return err
		}
	}
	// Chunks are wanted a stretch at a time, so that no more of them wait in
	// memory than the disk is behind.
	const stretch = 2 * maxSources * window
	came := make(chan *job, stretch)
	for under := 0; len(missing) > 0 || under > 0; {
		if n := min(stretch-under, len(missing)); n > 0 && under <= stretch/2 {
			g.w.want(came, missing[:n]...)
			missing, under = missing[n:], under+n
		}
		j, err := await(ctx, g.w, came, g.cfg.Patience)
		if err != nil {
			return err
		}
		under--
		if _, err := f.WriteAt(j.body, int64(j.n)*ChunkSize); err != nil {
			return err
		}
	}
	return nil
}

// missing verifies what lies there and returns the numbers of the other chunks.
func (g *getting) missing(ctx context.Context, f *os.File, m *manifest) ([]int, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var missing []int
	chunk := make([]byte, ChunkSize)
	for i := range m.chunks() {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b := chunk[:m.length(i)]
		at := int64(i) * ChunkSize
		if at+int64(len(b)) <= info.Size() {
			if _, err := f.ReadAt(b, at); err != nil {
				return nil, err
			}
			if m.fits(i, b) {
				continue
			}
		}
		missing = append(missing, i)
	}
	return missing, nil
}

// copyLocal takes from a file that is shared here what is still right, and returns
// what is missing then.
func (g *getting) copyLocal(ctx context.Context, f *os.File, l *local, missing []int) ([]int, error) {
	from := &source{s: g.s}
	defer from.close()
	for i, n := range missing {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		chunk, err := from.chunk(l, uint32(n))
		if err != nil || !l.man.fits(n, chunk) {
			return missing[i:], nil
		}
		if _, err := f.WriteAt(chunk, int64(n)*ChunkSize); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// check has the file looked at before it is in its place.
func (g *getting) check(ctx context.Context) error {
	if g.s.cfg.Check == nil {
		return nil
	}
	err := g.s.cfg.Check(ctx, File{filepath.Join(g.folder, filepath.FromSlash(g.part())), g.item})
	if err == nil {
		return nil
	}
	g.s.stats.checked.Add(1)
	err = fmt.Errorf("%s: %w: %w", g.name, ErrChecked, err)
	if gone := g.root.Remove(g.part()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	if gone := g.root.Remove(g.list()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	if g.keep {
		g.s.release(g.name)
	}
	return err
}

// finish shares the file if that is wanted.
func (g *getting) finish(ctx context.Context) (File, error) {
	f := File{filepath.Join(g.folder, filepath.FromSlash(g.name)), g.item}
	if !g.cfg.Share {
		return f, nil
	}
	it := g.item
	d := Description{Name: it.Name, Words: it.Words, MIME: it.MIME, Fields: it.Fields, Replicas: it.Replicas}
	l, err := g.s.add(ctx, g.folder, g.name, d)
	if err != nil {
		return f, err
	}
	if err := g.s.save(ctx); err != nil {
		return f, err
	}
	g.s.announce(l.item)
	f.Item = l.item
	return f, nil
}

// described asks a holder how it describes a content.
func (s *Service) described(ctx context.Context, h Holder, c ID) (Item, bool) {
	var it Item
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	err := s.ask(ctx, h, request{what: askItem, id: c}, func(status byte, body []byte) bool {
		if status == given {
			var a Share
			if err := unmarshalShare(body, &a); err == nil && a.Item.ID == c {
				it = a.Item
			} else {
				s.stats.malformed.Add(1)
			}
		}
		return false
	})
	if err != nil {
		s.log.Debug("a holder does not describe a content", "holder", h.Peer.Short(), "error", err)
	}
	return it, !it.ID.IsZero() && strings.TrimSpace(it.Name) != ""
}
