package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// familyExtern is the heading under which help lists the programs on the path.
const familyExtern = "Programs on the search path"

// Variables of the environment that tell a program on the path about the shell.
const (
	// socketVariable is the path of the socket on which the peer is controlled.
	socketVariable = "JUXTA_SOCKET"

	// jsonVariable is 1 if results are read and written as JSON, one object a line.
	jsonVariable = "JUXTA_JSON"
)

const (
	// listedFor is how long the list of programs is used before the path is searched
	// again: completion asks with every key.
	listedFor = 10 * time.Second

	// endsWithin is how long a program may take to end after SIGINT before it is
	// killed, and its children to close its output.
	endsWithin = 3 * time.Second

	// maxExternLine is the longest line of a program that is looked at as one, in
	// octets.
	maxExternLine = 1 << 20
)

// externs are the programs on the search path whose name begins with prefix. They
// are commands without it.
type externs struct {
	prefix string // "juxta-"

	// socket returns the path of the socket that the programs reach the peer by.
	socket func() (string, error)

	mu     sync.Mutex
	path   string // what was searched
	listed time.Time
	names  []string
}

// find returns the command of that name, or nil.
func (e *externs) find(name string) *interp.Command {
	if !externName(name) {
		return nil
	}
	file, err := exec.LookPath(e.prefix + name)
	if err != nil {
		return nil
	}
	return e.command(name, file)
}

// system returns a program of the system as a command.
func (e *externs) system(name string) (*interp.Command, error) {
	file, err := exec.LookPath(name)
	if err != nil {
		return nil, interp.NotFoundf("there is no program %q", name).Try("without the ! it may be a command: help")
	}
	return e.command(name, file), nil
}

// externName reports whether a program may be called by the name: it must not
// lead elsewhere than into the path.
func externName(name string) bool {
	const longest = 64
	return name != "" && len(name) <= longest && name[0] != '-' && name[0] != '.' && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
}

// all lists the commands. It searches the path, but not each time.
func (e *externs) all() []*interp.Command {
	var found []*interp.Command
	for _, name := range e.list() {
		found = append(found, e.command(name, e.prefix+name))
	}
	return found
}

func (e *externs) list() []string {
	path := os.Getenv("PATH")
	e.mu.Lock()
	defer e.mu.Unlock()
	if path == e.path && time.Since(e.listed) < listedFor {
		return e.names
	}
	var names []string
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // programs of the working folder are not run
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, f := range entries {
			name, ok := strings.CutPrefix(f.Name(), e.prefix)
			if runtime.GOOS == "windows" {
				name = strings.TrimSuffix(name, filepath.Ext(name))
			}
			if !ok || !externName(name) || slices.Contains(names, name) {
				continue
			}
			if _, err := exec.LookPath(filepath.Join(dir, f.Name())); err == nil {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	e.path, e.listed, e.names = path, time.Now(), names
	return names
}

func (e *externs) command(name, file string) *interp.Command {
	return &interp.Command{
		Name: name, Family: familyExtern, Summary: "the program " + filepath.Base(file), Args: "[ARGUMENTS...]", MaxArgs: -1, Raw: true,
		Details: "It gets the arguments as they are, on standard input what the command before it writes, and in\n" +
			socketVariable + " the socket by which it reaches this peer. --help may be one of its own options.",
		Complete: func(*interp.Session, int) []interp.Suggestion { return nil },
		Run:      func(ctx context.Context, c *interp.Call) error { return e.run(ctx, c, file) },
	}
}

// run runs a program to its end.
func (e *externs) run(ctx context.Context, c *interp.Call, file string) error {
	socket, err := e.socket()
	if err != nil {
		return interp.Because(err, "%s could not reach this peer", c.Name)
	}
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		args[i] = a.Text
	}
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Env = append(os.Environ(), socketVariable+"="+socket)
	if c.JSON() {
		cmd.Env = append(cmd.Env, jsonVariable+"=1")
	}
	cmd.WaitDelay = endsWithin
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return cmd.Process.Kill() // where there is no such signal
		}
		return nil
	}
	results := &externOutput{put: c.Print}
	if c.JSON() {
		results = &externOutput{put: func(line string) { externRecord(c, line) }, lines: true}
	}
	words := &externOutput{put: func(line string) { c.Notice("%s", line) }, lines: true}
	cmd.Stdout, cmd.Stderr = results, words
	feed := func(context.Context) {}
	if c.HasInput() {
		in, err := cmd.StdinPipe()
		if err != nil {
			return interp.Because(err, "%s cannot be run", c.Name)
		}
		feed = func(ctx context.Context) {
			externInput(ctx, c, in)
			_ = in.Close()
		}
	}
	if err := cmd.Start(); err != nil {
		return interp.Because(err, "%s cannot be run", c.Name)
	}
	reading, stop := context.WithCancel(ctx)
	var feeding sync.WaitGroup
	feeding.Go(func() { feed(reading) })
	err = cmd.Wait()
	stop() // what was not read by now nobody reads
	feeding.Wait()
	results.end()
	words.end()
	return externError(ctx, c.Name, err)
}

// externError tells how a program ended, if not well.
func externError(ctx context.Context, name string, err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !errors.As(err, &exit):
		return interp.Because(err, "%s did not end well", name)
	case exit.ExitCode() < 0:
		return interp.Failf("%s was ended: %v", name, exit)
	}
	e := interp.Failf("%s ended with status %d", name, exit.ExitCode())
	e.Status = exit.ExitCode()
	switch e.Status {
	case interp.StatusUsage:
		e.Code = interp.CodeUsage
	case interp.StatusNotFound:
		e.Code = interp.CodeNotFound
	case interp.StatusDenied:
		e.Code = interp.CodeDenied
	case interp.StatusTimedOut:
		e.Code = interp.CodeTimedOut
	case interp.StatusInterrupted:
		e.Code = interp.CodeInterrupted
	}
	return e
}

// externInput writes what the command before this one writes until nobody reads.
func externInput(ctx context.Context, c *interp.Call, w io.Writer) {
	for r := range c.Records(ctx) {
		line := r.AsText()
		if c.JSON() {
			b, err := r.MarshalJSON()
			if err != nil {
				continue // unreachable: fields hold plain values
			}
			line = string(b)
		}
		if _, err := io.WriteString(w, line+"\n"); err != nil {
			return
		}
	}
}

// externRecord emits a line as the record that it is, or as text.
func externRecord(c *interp.Call, line string) {
	text := func() {
		c.Line(line, interp.Field{Name: "text", Value: line})
	}
	if !strings.HasPrefix(line, "{") || !json.Valid([]byte(line)) {
		text()
		return
	}
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if _, err := d.Token(); err != nil { // the brace
		text()
		return
	}
	var fields []interp.Field
	for d.More() {
		name, err := d.Token()
		var value any
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			text()
			return
		}
		fields = append(fields, interp.Field{Name: fmt.Sprint(name), Value: value})
	}
	c.Row(fields...)
}

// externOutput gives on what a program writes: by lines, or as it comes but not
// within a character.
type externOutput struct {
	put   func(text string)
	lines bool
	rest  []byte
}

// Write implements io.Writer. It never fails: a reader who is gone ends the
// program in another way.
func (o *externOutput) Write(p []byte) (int, error) {
	o.rest = append(o.rest, p...)
	if !o.lines {
		whole := len(o.rest)
		for back := 1; back < utf8.UTFMax && back <= whole; back++ {
			if b := o.rest[whole-back]; utf8.RuneStart(b) {
				if !utf8.FullRune(o.rest[whole-back:]) {
					whole -= back
				}
				break
			}
		}
		if whole > 0 {
			o.put(string(o.rest[:whole]))
			o.rest = append(o.rest[:0], o.rest[whole:]...)
		}
		return len(p), nil
	}
	for {
		i := bytes.IndexByte(o.rest, '\n')
		if i < 0 && len(o.rest) < maxExternLine {
			return len(p), nil
		}
		if i < 0 {
			i = len(o.rest)
		}
		o.put(string(bytes.TrimSuffix(o.rest[:i], []byte("\r"))))
		o.rest = append(o.rest[:0], o.rest[min(i+1, len(o.rest)):]...)
	}
}

// end gives on what is left.
func (o *externOutput) end() {
	if len(o.rest) > 0 {
		o.put(string(o.rest))
		o.rest = nil
	}
}
