package interp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/shell/lang"
)

// Config is what a session needs. Out and Err must be set.
type Config struct {
	Commands []*Command
	Out      io.Writer // results
	Err      io.Writer // notices and errors; may be Out

	JSON        bool       // print results, notices and errors as JSON
	Terminal    bool       // Out is a terminal: align tables, keep control characters away
	Bold        bool       // the terminal may be given bold text
	Width       func() int // columns of the terminal; nil or 0: not known
	Height      func() int // its rows; nil: not known, and nothing is paged
	StopOnError bool       // a failing command ends the script; for scripts

	// Restricted is for a user who is not that of this machine: no files ("<" and ">"),
	// no results in variables (name = …), none of loops behind their end, and no line into which variables put
	// more than 64 KiB. What commands may do is for Commands to say, and Program should be nil.
	Restricted bool

	// ReadLine asks the user for a line, ReadSecret for one without showing it. Nil:
	// nobody can be asked. io.EOF: the user has left.
	ReadLine   func(ctx context.Context, prompt string) (string, error)
	ReadSecret func(ctx context.Context, prompt string) (string, error)

	// Noticed, if not nil, is called for each notice beside printing it. It must not
	// wait, and not change the fields.
	Noticed func(command, text string, fields []Field)

	// Extern finds a command that is not in Commands, such as a program on the
	// search path, and Externs lists those. Nil: there are none. Both must answer at
	// once.
	Extern  func(name string) *Command
	Externs func() []*Command

	// Program finds a program of the system, for "!name". It must answer at once. Nil:
	// no programs can be run.
	Program func(name string) (*Command, error)

	// Page opens a pager, for output of commands that are Paged and fill the terminal. Its
	// Write fails when the user has seen enough, and its Close waits for that; it ends with
	// ctx. Nil, or an error: output is printed as it comes.
	Page func(ctx context.Context) (io.WriteCloser, error)

	// Describe tells the class, a one-line description and the text of an object
	// that variables hold. Nil: strings only.
	Describe func(object any) (class, description, text string)
}

// Session runs commands one line after the other and holds their variables.
// Run must not be called concurrently; everything else may be.
type Session struct {
	Config
	Vars    Variables
	History History
	aliases aliases

	mu      sync.Mutex
	pages   *pages                  // of the commands that run now
	running context.CancelCauseFunc // ends the commands that run now
	early   time.Time               // when Interrupt found nothing to end
	status  int
	failed  int // last status other than 0
	exit    bool
}

// New makes a session. Close it to close what its variables hold.
func New(cfg Config) *Session {
	if cfg.Width == nil {
		cfg.Width = func() int { return 0 }
	}
	return &Session{Config: cfg}
}

// View is how results and notices are shown to one reader.
type View struct {
	JSON     bool // as Config.JSON
	Terminal bool // as Config.Terminal
	Bold     bool // as Config.Bold
	Width    int  // columns, 0: not known
}

// Begin gives the session another reader: it shows things as v says, ends at the
// first command that fails if stop is set, and knows of no earlier failure. It
// must not be called while Run runs.
func (s *Session) Begin(v View, stop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.JSON, s.Terminal, s.Bold, s.StopOnError = v.JSON, v.Terminal, v.Bold, stop
	s.Width = func() int { return v.Width }
	s.failed = 0
}

// asJSON reports whether notices are printed as JSON.
func (s *Session) asJSON() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.JSON
}

// Close closes the objects held by variables.
func (s *Session) Close() { s.Vars.closeAll() }

// Status returns the exit status of the last command, $?.
func (s *Session) Status() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// ExitStatus returns the status for the program: that of exit if it was given
// one, otherwise that of the last command that failed.
func (s *Session) ExitStatus() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exit {
		return s.status
	}
	return s.failed
}

// Exited reports whether the session was told to end.
func (s *Session) Exited() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exit
}

// Exit ends the session after the running command. A negative status means that
// of the last command that failed.
func (s *Session) Exit(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exit = true
	if status < 0 {
		status = s.failed
	}
	s.status = status
}

// Interrupt ends the running commands as Ctrl-C does, and reports whether there
// were any. If there were none, it ends the text that Run gets next, should that
// be a moment later: the user meant the line just entered.
func (s *Session) Interrupt() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		s.early = time.Now()
		return false
	}
	s.running(errInterrupted)
	return true
}

// Reading says that the next line is about to be read: a Ctrl-C that has met no command so far
// was not meant for that line.
func (s *Session) Reading() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.early = time.Time{}
}

// Run runs a text and returns the status of its last command. Incomplete text is
// an error here; see [Incomplete].
func (s *Session) Run(ctx context.Context, src string) int {
	script, err := lang.Parse(src)
	if err != nil {
		e := &Error{Status: StatusUsage, Code: CodeSyntax, Message: strings.TrimPrefix(err.Error(), "lang: ")}
		s.Report("shell", e)
		s.setStatus(e.Status)
		return e.Status
	}
	if s.interruptedEarly() {
		s.Report("shell", classify(errInterrupted))
		s.setStatus(StatusInterrupted)
		return StatusInterrupted
	}
	s.script(ctx, script, false)
	return s.Status()
}

// interruptedEarly reports whether Interrupt came just before Run.
func (s *Session) interruptedEarly() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	early := !s.early.IsZero() && time.Since(s.early) < interruptHolds
	s.early = time.Time{}
	return early
}

// Incomplete reports whether a text wants further lines.
func Incomplete(src string) bool {
	_, err := lang.Parse(src)
	return errors.Is(err, lang.ErrIncomplete)
}

func (s *Session) setStatus(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exit {
		return
	}
	s.status = status
	if status != StatusOK {
		s.failed = status
	}
}

// pipeline runs the commands of a pipeline side by side and returns the status
// of the last one that failed.
func (s *Session) pipeline(ctx context.Context, p lang.Pipeline) int {
	if len(p) == 1 && p[0].IsValue() {
		return s.assignText(&p[0])
	}
	calls := make([]*Call, len(p))
	words := s.expander()
	for i := range p {
		c, err := s.call(&p[i], words)
		if err != nil {
			s.Report(commandName(&p[i]), err)
			return err.Status
		}
		calls[i] = c
	}
	s.trace(p, calls)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	last := calls[len(calls)-1]
	if outer := within(ctx); outer != nil {
		last.out = nestedSink{outer, last.JSON()}
		calls[0].in = outer.in
		for _, c := range calls {
			c.depth = outer.depth + 1
		}
	} else {
		pages := s.paged(ctx, calls)
		s.mu.Lock()
		s.running, s.pages = cancel, pages
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			s.running, s.pages = nil, nil
			s.mu.Unlock()
		}()
		out := &printer{w: s.Out, json: last.JSON(), terminal: s.Terminal, bold: s.Bold, width: s.Width}
		if pages != nil {
			out.w, out.enough = pages, pages.enough
			defer pages.end()
		}
		last.out = out
	}
	files, err := s.redirect(ctx, p, calls)
	if err != nil {
		s.Report(calls[0].Command.Name, err)
		return err.Status
	}
	for i, c := range calls[:len(calls)-1] {
		st := newStream()
		c.out, calls[i+1].in = st, st
	}
	errs := make([]*Error, len(calls))
	var group sync.WaitGroup
	for i, c := range calls[:len(calls)-1] {
		group.Go(func() { errs[i] = s.runOne(ctx, c) })
	}
	errs[len(calls)-1] = s.runOne(ctx, last)
	group.Wait()

	status := StatusOK
	for i, err := range errs {
		if err == nil {
			continue
		}
		if !err.told && (err.Code != CodeInterrupted || i == len(errs)-1) { // one word is enough for all of them
			s.Report(calls[i].Command.Name, err)
		}
		status = err.Status
	}
	if err := files.end(status); err != nil {
		s.Report(last.Command.Name, err)
		return err.Status
	}
	return status
}

// runOne runs a command and closes its ends of the pipeline.
func (s *Session) runOne(ctx context.Context, c *Call) (failure *Error) {
	ctx, c.cancel = context.WithCancelCause(ctx)
	defer c.cancel(nil)
	defer func() {
		if r := recover(); r != nil {
			failure = Failf("internal error: %v", r)
			if !s.Restricted { // strangers need not know what the program looks like
				fmt.Fprintf(s.Err, "%s\n", debug.Stack())
			}
		}
		c.out.flush()
		if st, ok := c.out.(*stream); ok {
			close(st.items)
		}
		if c.in != nil {
			c.in.closeRead()
		}
	}()
	if c.Flag(helpOption) {
		c.Print(c.Command.Manual())
		return nil
	}
	err := c.Command.Run(ctx, c)
	switch context.Cause(ctx) {
	case errReaderGone:
		return nil
	case errInterrupted:
		return classify(errInterrupted)
	}
	if err != nil {
		return classify(err)
	}
	return nil
}

// assignText stores a text under a name.
func (s *Session) assignText(c *lang.Command) int {
	if s.Restricted {
		s.Report("=", noVariables())
		return StatusDenied
	}
	text, err := c.Words[0].Expand(s.text)
	if err == nil {
		err = s.Store(c.Assign, text)
	}
	if err != nil {
		s.Report("=", Failf("%s", trimPackage(err)))
		return StatusFailed
	}
	return StatusOK
}

// call finds the command and reads its options.
func (s *Session) call(c *lang.Command, words *expander) (*Call, *Error) {
	if s.Restricted && c.Assign != "" {
		return nil, noVariables()
	}
	args := make([]Arg, len(c.Words))
	for i := range c.Words {
		w := &c.Words[i]
		text, err := words.expand(w)
		if errors.Is(err, errTooMuch) {
			return nil, Deniedf("%s", trimPackage(err))
		}
		if err != nil {
			return nil, Failf("%s", trimPackage(err)).Try(`env lists the variables; a dollar sign in 'single quotes' is just that`)
		}
		text = strings.ToValidUTF8(text, "\uFFFD")
		literal := w.Opens || len(w.Parts) > 0 && w.Parts[0].Variable
		args[i] = Arg{Text: text, Quoted: w.Quoted || literal, literal: literal}
	}
	name := args[0].Text
	cmd, err := s.find(name, c.Program)
	if err != nil {
		return nil, classify(err)
	}
	if cmd == nil {
		e := &Error{Status: StatusUsage, Code: CodeUnknown, Message: fmt.Sprintf("there is no command %q", name), Hint: "help lists the commands"}
		if near := s.Nearest(name); near != "" {
			e.Hint = "did you mean " + near + "?"
		}
		return nil, e
	}
	values, rest, err := cmd.options(args[1:])
	call := &Call{Session: s, Command: cmd, Name: name, Args: rest, values: values, assign: c.Assign}
	for _, a := range args[1:] {
		call.typed = append(call.typed, a.Text)
	}
	switch {
	case err != nil, call.Flag(helpOption):
	case len(rest) < cmd.MinArgs:
		err = Usagef("%s wants %s", cmd.Name, cmd.Args)
	case cmd.MaxArgs >= 0 && len(rest) > cmd.MaxArgs:
		err = Usagef("%s does not know what to do with %q", cmd.Name, rest[cmd.MaxArgs].Text)
	}
	if err != nil {
		return nil, classify(err).Try("usage: %s", cmd.Usage())
	}
	return call, nil
}

// find returns the command of that name, nil if there is none.
func (s *Session) find(name string, program bool) (*Command, error) {
	switch {
	case !program:
		return s.Command(name), nil
	case s.Program == nil:
		return nil, Deniedf("no programs of the system can be run here")
	}
	return s.Program(name)
}

func commandName(c *lang.Command) string {
	if name, ok := c.Words[0].Literal(); ok {
		return name
	}
	return "shell"
}

// Command returns the command of that name or alias, or nil.
func (s *Session) Command(name string) *Command {
	for _, c := range s.Commands {
		if c.Name == name || slices.Contains(c.Aliases, name) {
			return c
		}
	}
	if text, ok := s.aliases.get(name); ok {
		return aliased(name, text)
	}
	if s.Extern == nil {
		return nil
	}
	return s.Extern(name)
}

// All returns the commands and, behind them, those that Config.Externs lists and
// that no command hides.
func (s *Session) All() []*Command {
	all := slices.Clone(s.Commands)
	for name, text := range s.Aliases() {
		all = append(all, aliased(name, text))
	}
	if s.Externs == nil {
		return all
	}
	for _, x := range s.Externs() {
		if !slices.ContainsFunc(s.Commands, func(c *Command) bool { return c.Name == x.Name || slices.Contains(c.Aliases, x.Name) }) {
			all = append(all, x)
		}
	}
	return all
}

// text returns the text of a variable, for $name.
func (s *Session) text(name string) (string, bool) {
	if name == "?" {
		return strconv.Itoa(s.Status()), true
	}
	v, ok := s.Vars.Get(name)
	if !ok {
		return "", false
	}
	return s.TextOf(v.Object), true
}

// TextOf returns the text of an object that a variable may hold.
func (s *Session) TextOf(object any) string {
	if t, ok := object.(string); ok {
		return t
	}
	if s.Describe != nil {
		_, _, text := s.Describe(object)
		return text
	}
	return fmt.Sprint(object)
}

// Store keeps an object under a name, described by Config.Describe.
func (s *Session) Store(name string, object any) error {
	return s.Vars.Set(s.variable(name, object))
}

// StoreFixed is like Store for what belongs to the shell.
func (s *Session) StoreFixed(name string, object any) error {
	v := s.variable(name, object)
	v.Fixed = true
	return s.Vars.Set(v)
}

func (s *Session) variable(name string, object any) Variable {
	v := Variable{Name: name, Object: object, Class: "text"}
	if text, ok := object.(string); ok {
		v.Description = text
	} else if s.Describe != nil {
		v.Class, v.Description, _ = s.Describe(object)
	}
	return v
}

// Notice tells the user something that is not a result: "# command - text".
// Fields go into the JSON form only.
func (s *Session) Notice(command, text string, fields ...Field) {
	if s.Noticed != nil {
		s.Noticed(command, text, fields)
	}
	s.beforeNotice()
	if s.asJSON() {
		rec := Record{Fields: append([]Field{{Name: "command", Value: command}, {Name: "text", Value: text}}, fields...)}
		s.errJSON("notice", rec)
		return
	}
	_, _ = fmt.Fprintf(s.Err, "# %s - %s\n", command, harmless(text))
}

// Report tells why a command failed.
func (s *Session) Report(command string, e *Error) {
	s.beforeNotice()
	if s.asJSON() {
		rec := Record{Fields: []Field{{Name: "code", Value: e.Code}, {Name: "message", Value: trimPackage(e)},
			{Name: "command", Value: command}, {Name: "status", Value: e.Status}}}
		if e.Hint != "" {
			rec.Fields = append(rec.Fields, Field{Name: "hint", Value: e.Hint})
		}
		s.errJSON("error", rec)
		return
	}
	text := harmless(trimPackage(e))
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	_, _ = fmt.Fprintf(s.Err, "# %s - %s\n", printable(command), text)
}

// beforeNotice prints what the running commands have written and is held back.
func (s *Session) beforeNotice() {
	s.mu.Lock()
	p := s.pages
	s.mu.Unlock()
	if p != nil {
		p.before()
	}
}

func (s *Session) errJSON(kind string, rec Record) {
	b, err := marshal(Record{Fields: []Field{{Name: kind, Value: rec}}})
	if err != nil {
		return // unreachable: fields hold plain values
	}
	_, _ = s.Err.Write(append(b, '\n'))
}

// trimPackage takes the names of packages off an error, which mean nothing to the
// user.
func trimPackage(err error) string {
	text := err.Error()
	for {
		name, rest, ok := strings.Cut(text, ": ")
		if !ok || !slices.Contains(packageNames(), name) {
			return text
		}
		text = rest
	}
}

// packageNames are those that lead errors.
func packageNames() []string {
	return []string{"interp", "lang", "commands", "terminal", "peergroup", "pipe", "discovery", "resolver",
		"rendezvous", "routing", "peerinfo", "trace", "console", "content", "endpoint", "advertisements", "store", "xmldoc", "message", "id"}
}
