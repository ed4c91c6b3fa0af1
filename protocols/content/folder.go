package content

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
)

// FolderType is the type of a content that lists the files of a folder: lines of
// JSON with "name", with slashes and relative to the folder, "id" and "size".
const FolderType = "application/vnd.juxta.folder"

// folderFile is a file of a folder, as it stands in the list.
type folderFile struct {
	Name string `json:"name"`
	ID   ID     `json:"id"`
	Size int64  `json:"size"`
}

// FetchFolder fetches a folder that was shared as a whole, by the ID of its list,
// into FetchConfig.Folder, which must be given, under FetchConfig.Name or its own.
// Nothing is fetched if one of the names in it is refused. It returns the files
// that are in their places, also with an error.
func (s *Service) FetchFolder(ctx context.Context, c ID, cfg FetchConfig) ([]File, error) {
	if cfg.Folder == "" {
		return nil, fmt.Errorf("content: a folder is fetched into FetchConfig.Folder: %w", fs.ErrInvalid)
	}
	r, err := s.open(ctx, c, cfg)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.Size() > maxList {
		return nil, fmt.Errorf("content: the list of a folder: %w", ErrLimit)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	list, err := readList(b)
	if err == nil && cfg.Name == "" {
		cfg.Name = c.String()
		if it, ok := r.Item(); ok {
			cfg.Name = it.Name
		}
	}
	if err == nil {
		err = CheckName(cfg.Name)
	}
	if err != nil {
		if errors.Is(err, ErrName) {
			s.stats.names.Add(1)
		}
		return nil, err
	}
	return s.fetchAll(ctx, list, cfg)
}

// fetchAll fetches the files of a folder, a few at a time.
func (s *Service) fetchAll(ctx context.Context, list []folderFile, cfg FetchConfig) ([]File, error) {
	var (
		mu    sync.Mutex
		files []File
		errs  []error
		wg    sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan folderFile)
	for range folderFetches {
		wg.Go(func() {
			for m := range next {
				one := cfg
				one.Name = cfg.Name + "/" + m.Name
				f, err := s.Fetch(ctx, m.ID, one)
				mu.Lock()
				if err == nil {
					files = append(files, f)
				} else if len(errs) == 0 {
					errs = append(errs, fmt.Errorf("content: %s: %w", m.Name, err))
				}
				mu.Unlock()
				if err != nil {
					cancel()
				}
			}
		})
	}
	for _, m := range list {
		select {
		case next <- m:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	if len(errs) == 0 && ctx.Err() != nil {
		errs = append(errs, fmt.Errorf("content: %w", context.Cause(ctx)))
	}
	return files, errors.Join(errs...)
}

// readList reads the list of a folder that others have made. Names that would
// leave the folder, or come twice, refuse the whole.
func readList(b []byte) ([]folderFile, error) {
	var list []folderFile
	seen := map[string]bool{}
	for line := range bytes.Lines(b) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(list) == maxFolder {
			return nil, fmt.Errorf("content: the list of a folder: %w", ErrLimit)
		}
		var m folderFile
		if err := json.Unmarshal(line, &m); err != nil || m.ID.IsZero() || m.Size < 0 {
			return nil, fmt.Errorf("content: the list of a folder: %w", ErrMalformed)
		}
		if err := CheckName(m.Name); err != nil {
			return nil, err
		}
		fold := strings.ToLower(m.Name)
		if seen[fold] {
			return nil, &NameError{m.Name, "it comes twice in one folder"}
		}
		seen[fold] = true
		list = append(list, m)
	}
	return list, nil
}
