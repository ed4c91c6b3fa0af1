package interp

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/juxta-p2p/juxta/shell/lang"
)

// files are those that a pipeline reads and writes.
type files struct {
	in      *os.File
	reading sync.WaitGroup
	stream  *stream

	out  *os.File
	path string // to which out is renamed if all went well; empty: it is written where it is
}

// redirect opens the files of a pipeline and has its ends use them. The result is never nil
// if there is no error.
func (s *Session) redirect(ctx context.Context, p lang.Pipeline, calls []*Call) (*files, *Error) {
	f := new(files)
	if s.Restricted {
		for i := range p {
			if p[i].In != nil || p[i].Out != nil {
				return nil, noFiles()
			}
		}
	}
	if w := p[0].In; w != nil {
		name, err := s.fileName(w)
		if err != nil {
			return nil, err
		}
		in, failure := os.Open(name)
		if failure != nil {
			return nil, Because(failure, "cannot read it")
		}
		f.in, f.stream = in, newStream()
		calls[0].in = f.stream
		f.reading.Go(func() { f.read(ctx) })
	}
	last := len(p) - 1
	if w := p[last].Out; w != nil {
		name, err := s.fileName(w)
		if err == nil {
			err = f.create(name, p[last].Append)
		}
		if err != nil {
			_ = f.end(err.Status)
			return nil, err
		}
		calls[last].out = &printer{w: f.out, json: calls[last].JSON(), width: func() int { return 0 }}
	}
	return f, nil
}

func (s *Session) fileName(w *lang.Word) (string, *Error) {
	name, err := w.Expand(s.text)
	switch {
	case err != nil:
		return "", Failf("%s", trimPackage(err))
	case name == "":
		return "", Usagef("the name of the file is empty")
	}
	return name, nil
}

// read gives the first command what the file holds.
func (f *files) read(ctx context.Context) {
	defer close(f.stream.items)
	b := make([]byte, readAtOnce)
	for ctx.Err() == nil {
		n, err := f.in.Read(b)
		if n > 0 && !f.stream.put(item{text: string(b[:n])}) || err != nil {
			return // the command tells if it wants more than there is
		}
	}
}

// create opens the file to write. What is there already stays until the commands have ended
// well, unless it is no ordinary file.
func (f *files) create(name string, behind bool) *Error {
	const mode = 0o644
	var err error
	info, statErr := os.Lstat(name)
	switch {
	case behind:
		f.out, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, mode)
	case statErr == nil && !info.Mode().IsRegular():
		f.out, err = os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, mode)
	default:
		f.out, err = os.OpenFile(filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".part"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
		f.path = name
		if err == nil && statErr == nil {
			err = f.out.Chmod(info.Mode().Perm())
		}
	}
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return Failf("cannot write %s: %v", name, path.Err)
	case err != nil:
		return Failf("cannot write %s: %v", name, err)
	}
	return nil
}

// end closes the files. A file that was begun replaces the one of its name if the status is
// that all went well.
func (f *files) end(status int) *Error {
	if f.in != nil {
		f.stream.closeRead()
		f.reading.Wait()
		_ = f.in.Close() // it was only read
	}
	if f.out == nil {
		return nil
	}
	err := f.out.Close()
	switch {
	case f.path == "":
	case err != nil || status != StatusOK:
		_ = os.Remove(f.out.Name())
	default:
		err = os.Rename(f.out.Name(), f.path)
	}
	if err != nil {
		return Because(err, "cannot write it")
	}
	return nil
}
