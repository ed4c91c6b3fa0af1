package content

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What lies in Config.Dir.
const (
	stateFile  = "shared.jsonl" // a line for each file that is shared
	keptFolder = "kept"         // files that were fetched, by ID
	listFolder = "lists"        // lists of shared folders, by ID
)

// record is a line of the state.
type record struct {
	Root     string `json:"root"`
	Name     string `json:"name"`
	Size     int64  `json:"size"`
	Time     int64  `json:"time"`
	Manifest []byte `json:"manifest"`
	Item     Item   `json:"item"`
}

// save writes down what is shared, so that a crash at any moment leaves the old or
// the new list.
func (s *Service) save(ctx context.Context) error {
	select {
	case s.saving <- struct{}{}:
		defer func() { <-s.saving }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	all := make([]*local, 0, len(s.files))
	for _, l := range s.files {
		all = append(all, l)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *local) int { return strings.Compare(place(a.root, a.name), place(b.root, b.name)) })
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for _, l := range all {
		if err := lines.Encode(record{l.root, l.name, l.size, l.time, l.man.encode(), l.item}); err != nil {
			return err
		}
	}
	return writeFile(s.cfg.Dir, stateFile, b.Bytes())
}

// writeFile writes a file so that it is there whole or not at all.
func writeFile(dir, name string, b []byte) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	part := path.Join(path.Dir(name), partPrefix+path.Base(name))
	f, err := root.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(part))
	}
	return syncFolder(root, path.Dir(name))
}

// syncFolder makes a rename last. Systems that cannot do that for a folder say so,
// and it is no fault.
func syncFolder(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}

// load shares again what was shared before, without hashing it, and returns what
// has changed meanwhile. What is gone is forgotten.
func (s *Service) load() (changed []*local, err error) {
	f, err := os.Open(filepath.Join(s.cfg.Dir, stateFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, s.tidy()
	case err != nil:
		return nil, fmt.Errorf("content: %w", err)
	}
	defer f.Close()
	roots := map[string]*os.Root{}
	defer func() {
		for _, r := range roots {
			if r != nil {
				_ = r.Close()
			}
		}
	}()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxStateLine)
	for lines.Scan() {
		l, err := readRecord(lines.Bytes())
		if err != nil {
			s.log.Error("a line of what was shared cannot be read", "error", err)
			continue
		}
		root, ok := roots[l.root]
		if !ok {
			if root, err = os.OpenRoot(l.root); err != nil {
				s.log.Warn("a folder that was shared is gone", "folder", l.root, "error", err)
			}
			roots[l.root] = root
		}
		if root == nil {
			continue
		}
		info, err := root.Lstat(l.name)
		if err != nil || !info.Mode().IsRegular() {
			s.log.Info("a file that was shared is gone", "name", l.name)
			continue
		}
		size, time := stamp(info)
		switch {
		case s.cfg.Refused(l.item.ID):
			s.stats.refused.Add(1)
		case size == l.size && time == l.time:
			s.restore(l)
		case s.own(l):
			s.log.Warn("a file in the service's own folder was changed by others", "name", l.name)
		default:
			changed = append(changed, l)
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("content: what was shared cannot be read: %w", err)
	}
	return changed, s.tidy()
}

func readRecord(line []byte) (*local, error) {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, err
	}
	m, err := readManifest(r.Manifest)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(r.Root) || !fs.ValidPath(r.Name) || m.id() != r.Item.ID || m.size != r.Size {
		return nil, ErrMalformed
	}
	if err := r.Item.check(); err != nil {
		return nil, err
	}
	return &local{root: r.Root, name: r.Name, size: r.Size, time: r.Time, man: m, item: r.Item}, nil
}

// restore takes a file among those shared, during the start.
func (s *Service) restore(l *local) {
	s.mu.Lock()
	s.files[place(l.root, l.name)] = l
	s.byID[l.item.ID] = l
	s.mu.Unlock()
	s.table.put(Hit{l.item, s.holder()})
}

// rehash shares again what has changed since it was hashed.
func (s *Service) rehash(changed []*local) {
	for _, l := range changed {
		d := Description{Name: l.item.Name, Words: l.item.Words, MIME: l.item.MIME, Fields: l.item.Fields, Replicas: l.item.Replicas}
		fresh, err := s.add(s.ctx, l.root, l.name, d)
		if s.ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Warn("a file that was shared cannot be any more", "name", l.name, "error", err)
			continue
		}
		s.announce(fresh.item)
	}
	if len(changed) == 0 {
		return
	}
	if err := s.save(s.ctx); err != nil && s.ctx.Err() == nil {
		s.log.Error("what is shared cannot be written", "error", err)
	}
}

// tidy removes from the service's own folder what nobody knows of, and counts the
// rest.
func (s *Service) tidy() error {
	for _, folder := range []string{keptFolder, listFolder} {
		entries, err := os.ReadDir(filepath.Join(s.cfg.Dir, folder))
		if err != nil {
			return fmt.Errorf("content: %w", err)
		}
		for _, e := range entries {
			name := path.Join(folder, e.Name())
			info, err := e.Info()
			if err != nil {
				continue
			}
			s.mu.Lock()
			_, known := s.files[place(s.cfg.Dir, name)]
			s.mu.Unlock()
			part := folder == keptFolder && strings.HasPrefix(e.Name(), partPrefix) && time.Since(info.ModTime()) < partLife
			if !known && !part {
				if err := s.removeOwn(name); err != nil {
					return fmt.Errorf("content: %w", err)
				}
				continue
			}
			name = strings.TrimSuffix(strings.Replace(name, partPrefix, "", 1), partSuffix)
			s.mu.Lock()
			s.reserved[name] += info.Size()
			s.used += info.Size()
			s.mu.Unlock()
		}
	}
	return nil
}

// reserve takes room in the service's own folder for a file, once.
func (s *Service) reserve(name string, size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := size - s.reserved[name]
	if s.used+more > max(s.cfg.Quota, 0) {
		s.stats.quota.Add(1)
		return fmt.Errorf("%d octets more than the %d there are: %w", more, s.used, ErrQuota)
	}
	s.reserved[name], s.used = size, s.used+more
	return nil
}

// room is how much more the service may keep.
func (s *Service) room() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.cfg.Quota-s.used, 0)
}

// release gives the room of a file back.
func (s *Service) release(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= s.reserved[name]
	delete(s.reserved, name)
}
