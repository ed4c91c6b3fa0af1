package commands

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/content"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// shelves are the content services of a peer, one for each group in which something was shared or looked
// for. All sessions at a peer have the same.
type shelves struct {
	mu     sync.Mutex
	groups map[id.Group]*content.Service
}

// contentFolder is the folder of the home in which the service of a group keeps what it has.
func contentFolder(home string, g id.Group) string {
	return filepath.Join(home, "content", strings.ReplaceAll(strings.TrimPrefix(g.String(), "urn:jxta:"), ":", "_"))
}

// content returns the content service of the current group, which it loads if need be.
func (h *Host) content() (*content.Service, error) {
	return h.contentOf(h.group())
}

func (h *Host) contentOf(g *peergroup.Group) (*content.Service, error) {
	if h.peer.Home() == "" {
		return nil, interp.Failf("this peer has no home, where what is shared could be kept").Try("start juxta with --home DIR")
	}
	h.shelves.mu.Lock()
	defer h.shelves.mu.Unlock()
	if s := h.shelves.groups[g.ID()]; s != nil {
		return s, nil
	}
	s := content.New(content.Config{Dir: contentFolder(h.peer.Home(), g.ID())})
	if _, err := g.Load(s); err != nil {
		return nil, interp.Because(err, "files cannot be shared in %s", g.Name())
	}
	if h.shelves.groups == nil {
		h.shelves.groups = map[id.Group]*content.Service{}
	}
	h.shelves.groups[g.ID()] = s
	gid := g.ID()
	g.Go(func(ctx context.Context) { // until the group is left
		<-ctx.Done()
		h.shelves.mu.Lock()
		defer h.shelves.mu.Unlock()
		delete(h.shelves.groups, gid)
	})
	return s, nil
}

// Resume shares again what was shared in the groups of the peer before it was started.
func (h *Host) Resume() error {
	if h.peer.Home() == "" {
		return nil
	}
	var errs []error
	for _, g := range h.joined() {
		if _, err := os.Stat(contentFolder(h.peer.Home(), g.ID())); err == nil {
			_, err := h.contentOf(g)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func shareCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "share", Family: familyPipes, Summary: "shares files and folders with the group, or lists what is shared",
		Args: "[FILE or FOLDER]...", MaxArgs: -1, Complete: nothing, File: func(int) bool { return true },
		Options: []interp.Option{{Letter: "n", Name: "name", Value: "NAME", Help: "under another name"},
			{Letter: "k", Name: "words", Value: "WORDS", Help: "also to be found by these, with commas between them"},
			{Letter: "r", Name: "replicas", Value: "N", Help: "so many members are to have it"}},
		Details: "Files stay where they are and are shared until unshare, also after the next start. An ID is made of\n" +
			"what is in a file, so others can be sure of what they get.\n" +
			"JSON: name, content_id, octets, mime, files (of a folder).",
		Examples: []interp.Example{{Line: "share notes.txt", Text: "shares a file"}, {Line: "share -n shopping -k milk,bread notes.txt; share", Text: "under another name; then what is shared"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			s, err := h.content()
			if err != nil {
				return err
			}
			if len(c.Args) == 0 {
				for _, it := range s.Shared() {
					c.Row(itemFields(it)...)
				}
				return nil
			}
			replicas, err := c.Int("r", 0, 0)
			if err != nil {
				return err
			}
			d := content.Description{Name: c.Value("n", ""), Replicas: replicas,
				Words: strings.FieldsFunc(c.Value("k", ""), func(r rune) bool { return r == ',' || r == ' ' })}
			for _, a := range c.Args {
				if v, ok := c.Variable(a); ok && a.Text == v.Name {
					if _, isAdv := v.Object.(advertisements.Advertisement); isAdv {
						return interp.Usagef("%s is an advertisement", a.Text).Try("publish %s makes it known", a.Text)
					}
				}
				items, err := s.Share(ctx, a.Text, d)
				if err != nil {
					return interp.Because(err, "%s cannot be shared", a.Text)
				}
				fields := itemFields(items[0])
				if items[0].Folder() {
					fields = append(fields, interp.Field{Name: "files", Value: len(items) - 1})
				}
				c.Row(fields...)
			}
			return nil
		},
	}
}

func itemFields(it content.Item) []interp.Field {
	return []interp.Field{{Name: "name", Value: it.Name}, {Name: "content_id", Value: it.ID.String(), Short: shortContent(it.ID)},
		{Name: "octets", Value: it.Size}, {Name: "mime", Value: it.MIME}}
}

// shortContent is the beginning of an ID, which is enough for fetch if nothing else begins so.
func shortContent(c content.ID) string {
	const digits = 10
	return c.String()[:digits]
}

func unshareCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "unshare", Family: familyPipes, Summary: "shares a file no longer",
		Args: "NAME or ID", MinArgs: 1, MaxArgs: 1, Complete: h.completeShared,
		Details: "The file stays. Of a folder all files go, too.",
		Examples: []interp.Example{{Line: "share notes.txt; unshare notes.txt", Text: "by its name"},
			{Line: "share notes.txt; for id in notes.txt; do unshare $id; done", Text: "in a script"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			s, err := h.content()
			if err != nil {
				return err
			}
			all := s.Shared()
			i := slices.IndexFunc(all, func(it content.Item) bool { return it.Name == c.Args[0].Text || named(it.ID, c.Args[0].Text) })
			if i < 0 {
				return interp.NotFoundf("nothing called %q is shared here", c.Args[0].Text).Try("share lists what is")
			}
			if err := s.Unshare(ctx, all[i].ID); err != nil {
				return interp.Because(err, "%s is still shared", all[i].Name)
			}
			return nil
		},
	}
}

// named reports whether a text is the ID, or the beginning of it.
func named(c content.ID, text string) bool {
	const least = 6
	return len(text) >= least && strings.HasPrefix(c.String(), text)
}

func (h *Host) completeShared(*interp.Session, int) (all []interp.Suggestion) {
	h.shelves.mu.Lock()
	s := h.shelves.groups[h.group().ID()]
	h.shelves.mu.Unlock()
	if s == nil {
		return nil
	}
	for _, it := range s.Shared() {
		all = append(all, interp.Suggestion{Text: it.Name, Description: interp.Text(it.Size) + " octets"})
	}
	return all
}

func findCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "find", Family: familyPipes, Summary: "looks for files that members of the group share",
		Args: "[WORD]...", MaxArgs: -1, Complete: nothing,
		Options: []interp.Option{{Letter: "n", Name: "name", Value: "NAME", Help: "by the whole name, in which * stands for any text"},
			{Letter: "m", Name: "mime", Value: "TYPE", Help: "of a type, such as image/*"},
			interp.WaitOption("how long to look (default 3s)")},
		Details: "All words must fit; they are those of the name and what the file was described by. Without\n" +
			"any it lists all that is found. The same file at several members is one result.\n" +
			"JSON: name, content_id, octets, mime, holders. Status 3: nothing was found.",
		Examples: []interp.Example{{Line: "find photo", Text: "by a word of the name", Before: "ann> share photo.jpg"},
			{Line: "find -m 'image/*' -w 1s", Text: "all pictures", Before: "ann> share photo.jpg"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := c.Duration("w", defaultWait)
			if err != nil {
				return err
			}
			q := content.Query{Name: c.Value("n", ""), MIME: c.Value("m", "")}
			for _, a := range c.Args {
				q.Words = append(q.Words, a.Text)
			}
			found, err := h.findContent(ctx, q, wait)
			if err != nil {
				return err
			}
			for _, f := range found {
				c.Row(append(itemFields(f.item), interp.Field{Name: "holders", Value: len(f.holders)})...)
			}
			if len(found) == 0 {
				return interp.NotFoundf("nobody was found who shares that").Try("find without words lists all")
			}
			return nil
		},
	}
}

// found is a content and who has it.
type found struct {
	item    content.Item
	holders []content.Holder
}

// findContent looks for some time, and returns contents by name.
func (h *Host) findContent(ctx context.Context, q content.Query, wait time.Duration) ([]found, error) {
	s, err := h.content()
	if err != nil {
		return nil, err
	}
	short, cancel := context.WithTimeout(ctx, max(wait, leastWait))
	defer cancel()
	by := map[content.ID]*found{}
	for hit, err := range s.Find(short, q) {
		if errors.Is(err, discovery.ErrNobody) {
			break
		}
		if err != nil {
			return nil, interp.Because(err, "the search has failed")
		}
		f := by[hit.Item.ID]
		if f == nil {
			if len(by) >= maxListed {
				break
			}
			f = &found{item: hit.Item}
			by[hit.Item.ID] = f
		}
		if !slices.Contains(f.holders, hit.Holder) {
			f.holders = append(f.holders, hit.Holder)
		}
	}
	if err := waited(ctx); err != nil {
		return nil, err
	}
	var all []found
	for _, f := range by {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b found) int {
		if c := strings.Compare(a.item.Name, b.item.Name); c != 0 {
			return c
		}
		return strings.Compare(a.item.ID.String(), b.item.ID.String())
	})
	return all, nil
}

func fetchCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "fetch", Family: familyPipes, Summary: "gets a file or a folder from all who share it",
		Args: "NAME or ID", MinArgs: 1, MaxArgs: 1, Complete: nothing,
		Options: []interp.Option{{Letter: "o", Name: "output", Value: "FOLDER", Help: "where to put it (default: the working folder)"},
			{Letter: "n", Name: "name", Value: "NAME", Help: "under another name; not for folders"},
			{Letter: "s", Name: "share", Help: "share it as well"},
			interp.WaitOption("how long to look for it (default 3s)")},
		Details: "What comes is checked piece by piece against the ID, so nobody need be trusted. A file of that name which is\n" +
			"there already is left alone. Ctrl-C keeps what has come; the same fetch goes on with it.\n" +
			"JSON: file, name, content_id, octets, took (seconds).",
		Examples: []interp.Example{{Line: "fetch photo.jpg -n copy.jpg", Text: "by the name that its holders give it", Before: "ann> share photo.jpg"},
			{Line: "fetch -o pictures photo.jpg", Text: "into a folder", Before: "ann> share photo.jpg"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			wait, err := c.Duration("w", defaultWait)
			if err != nil {
				return err
			}
			f, err := h.wanted(ctx, c.Args[0].Text, wait)
			if err != nil {
				return err
			}
			s, err := h.content()
			if err != nil {
				return err
			}
			cfg := content.FetchConfig{Folder: c.Value("o", "."), Name: c.Value("n", ""), Share: c.Flag("s"), From: f.holders}
			begun := time.Now()
			stop := h.progress(c, s, f.item.Size)
			var files []content.File
			if f.item.Folder() {
				files, err = s.FetchFolder(ctx, f.item.ID, cfg)
			} else {
				var file content.File
				if file, err = s.Fetch(ctx, f.item.ID, cfg); err == nil {
					files = append(files, file)
				}
			}
			stop()
			for _, file := range files {
				c.Row(interp.Field{Name: "file", Value: file.Path}, interp.Field{Name: "name", Value: file.Item.Name},
					interp.Field{Name: "content_id", Value: file.Item.ID.String(), Short: shortContent(file.Item.ID)},
					interp.Field{Name: "octets", Value: file.Item.Size}, interp.Field{Name: "took", Value: time.Since(begun)})
			}
			switch {
			case err == nil:
				return nil
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case errors.Is(err, os.ErrExist):
				return interp.Failf("another file called %s is there already", f.item.Name).Try("fetch -n gives it another name")
			case errors.Is(err, content.ErrNoHolder):
				return interp.NotFoundf("nobody gives %s any more", f.item.Name).Try("the same fetch goes on with what has come")
			}
			return interp.Because(err, "%s was not fetched", f.item.Name)
		},
	}
}

// wanted returns the content that a name or an ID means.
func (h *Host) wanted(ctx context.Context, text string, wait time.Duration) (found, error) {
	q := content.Query{Name: text}
	if c, err := content.ParseID(text); err == nil {
		q = content.Query{ID: c}
	}
	all, err := h.findContent(ctx, q, wait)
	if err == nil && len(all) == 0 && q.Name != "" { // the beginning of an ID
		if all, err = h.findContent(ctx, content.Query{}, wait); err == nil {
			all = slices.DeleteFunc(all, func(f found) bool { return !named(f.item.ID, text) })
		}
	}
	switch {
	case err != nil:
		return found{}, err
	case len(all) == 0:
		return found{}, interp.NotFoundf("nobody was found who shares %q", text).Try("find lists what is shared")
	case len(all) > 1:
		return found{}, interp.Failf("%d different things are called %q", len(all), text).Try("give an ID: find -n %s", text)
	}
	return all[0], nil
}

// progress shows how much has come, with speed and time left, where the user sits.
func (h *Host) progress(c *interp.Call, s *content.Service, size int64) (stop func()) {
	b := newBar(c)
	if !b.terminal || size == 0 {
		return func() {}
	}
	before, begun := s.Stats().FetchedOctets, time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	var showing sync.WaitGroup
	showing.Go(func() {
		t := time.NewTicker(barEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			got := int64(s.Stats().FetchedOctets - before)
			b.transfer(got, size, begun)
		}
	})
	return func() {
		cancel()
		showing.Wait()
		b.clear()
	}
}
