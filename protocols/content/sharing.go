package content

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Share shares a file, or all files in a folder, and announces them. It returns
// when they are hashed and written down; they are shared again after each start of
// the service, and hashed again only if size or time of change differ.
//
// Of a folder the first item is the list of its files, by which others fetch the
// whole, then come the files, each a content of its own with the same words and
// fields. Links in a folder, special files, and files with names that [CheckName]
// refuses are passed over and counted as Skipped.
//
// Sharing something again changes how it is described. The error wraps
// [ErrRefused], [ErrLimit], [ErrName], one of package os, or ctx's cause; of a
// folder, what was shared before the error stays.
func (s *Service) Share(ctx context.Context, name string, d Description) ([]Item, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	ctx, done := s.bound(ctx)
	defer done()
	items, err := s.share(ctx, name, d)
	if err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	return items, nil
}

func (s *Service) share(ctx context.Context, name string, d Description) ([]Item, error) {
	if strings.Contains(d.Name, "/") {
		return nil, &NameError{d.Name, "it has a slash"}
	}
	where, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if where, err = filepath.EvalSymlinks(where); err != nil {
		return nil, err
	}
	info, err := os.Stat(where)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return s.shareFolder(ctx, where, d)
	}
	l, err := s.add(ctx, filepath.Dir(where), filepath.Base(where), d)
	if err != nil {
		return nil, err
	}
	if err := s.save(ctx); err != nil {
		return nil, err
	}
	s.announce(l.item)
	return []Item{l.item}, nil
}

// shareFolder shares what lies in a folder.
func (s *Service) shareFolder(ctx context.Context, folder string, d Description) ([]Item, error) {
	if s.holds(folder) {
		return nil, fmt.Errorf("%s has the service's own folder in it: %w", folder, fs.ErrInvalid)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	each := d
	each.Name, each.MIME = "", ""
	var items []Item
	var list bytes.Buffer
	lines := json.NewEncoder(&list)
	lines.SetEscapeHTML(false)
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			s.log.Warn("a file of a folder cannot be read", "name", name, "error", err)
			s.stats.skipped.Add(1)
			return nil
		case e.IsDir():
			return nil
		case !e.Type().IsRegular() || CheckName(name) != nil:
			s.log.Debug("a file of a folder is passed over", "name", name)
			s.stats.skipped.Add(1)
			return nil
		case len(items) == maxFolder:
			return fmt.Errorf("a folder of more than %d files: %w", maxFolder, ErrLimit)
		}
		l, err := s.add(ctx, folder, name, each)
		switch {
		case errors.Is(err, ErrRefused) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errChanged):
			s.log.Warn("a file of a folder is not shared", "name", name, "error", err)
			s.stats.skipped.Add(1)
			return nil
		case err != nil:
			return err
		}
		items = append(items, l.item)
		if len(items)%saveEvery == 0 {
			if err := s.save(ctx); err != nil {
				return err
			}
		}
		return lines.Encode(folderFile{name, l.item.ID, l.size})
	})
	if err != nil {
		return nil, errors.Join(err, s.save(ctx))
	}
	if list.Len() > maxList {
		return nil, fmt.Errorf("the list of a folder: %w", ErrLimit)
	}
	if d.Name == "" {
		d.Name = filepath.Base(folder)
	}
	whole, err := s.addList(ctx, list.Bytes(), d)
	if err != nil {
		return nil, err
	}
	items = append([]Item{whole}, items...)
	if err := s.save(ctx); err != nil {
		return nil, err
	}
	s.announce(items...)
	return items, nil
}

// holds reports whether the service's own folder lies in a folder, whose list
// would change with each change of what is shared.
func (s *Service) holds(folder string) bool {
	dir, err := filepath.EvalSymlinks(s.cfg.Dir)
	if err != nil {
		dir = s.cfg.Dir
	}
	rel, err := filepath.Rel(folder, dir)
	return err == nil && filepath.IsLocal(rel)
}

// addList shares the list of a folder, which lies in the service's own one.
func (s *Service) addList(ctx context.Context, list []byte, d Description) (Item, error) {
	m, err := makeManifest(bytes.NewReader(list), int64(len(list)))
	if err != nil {
		return Item{}, err
	}
	name := path.Join(listFolder, m.id().String())
	if err := writeFile(s.cfg.Dir, name, list); err != nil {
		return Item{}, err
	}
	d.MIME = FolderType
	l, err := s.add(ctx, s.cfg.Dir, name, d)
	if err != nil {
		return Item{}, errors.Join(err, s.removeOwn(name))
	}
	return l.item, nil
}
