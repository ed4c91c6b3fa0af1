// Package shell is the interactive peer: it starts a peer from a command line
// and gives the user the JXTA shell to work with it, on a terminal or as a
// script.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/bench"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/control"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/terminal"
)

// leaveWithin is how long the peer may take to say goodbye when the program is
// told to end by a signal.
const leaveWithin = 3 * time.Second

// Main runs the program juxta and returns its exit status. args are those behind
// the name of the program. It handles SIGINT, SIGTERM and SIGHUP itself; ctx ends
// it too. Programs that add commands call [Run].
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if args == nil {
		args = []string{}
	}
	return Run(ctx, Options{Args: args, Stdin: stdin, Stdout: stdout, Stderr: stderr})
}

// start does what the command line says.
func start(ctx context.Context, own Options) int {
	if len(own.Args) > 0 && own.Args[0] == "bench" {
		return bench.Main(own.Args[1:], own.Stdout, own.Stderr)
	}
	p := program{own: own, stdin: own.Stdin, stdout: own.Stdout, stderr: own.Stderr}
	p.externs = externs{prefix: own.Program + "-", socket: p.socket}
	known := own.commandsFor(commands.New(nil))
	o, err := parseFlags(own.Peer, own.Args, func(word string) *interp.Command {
		if c := interp.New(interp.Config{Commands: known}).Command(word); c != nil || isFile(word) {
			return c
		}
		return p.externs.find(word)
	})
	p.options = o
	switch {
	case err != nil:
		hint := own.Program + " --help tells the options"
		if errors.Is(err, errUnknown) {
			hint = own.Program + " help lists the commands"
			if near := interp.New(interp.Config{Commands: known}).Nearest(o.unknown); near != "" {
				hint = "did you mean " + near + "?"
			}
		}
		return p.fail(interp.StatusUsage, interp.CodeUsage, fmt.Sprintf("%v; %s", err, hint))
	case o.help:
		fmt.Fprint(own.Stdout, usage(own.Program, known))
		return interp.StatusOK
	case o.version:
		o.commands, o.hasCommand, o.offline = "version", true, true
		p.options = o
	}
	switch {
	case o.offline:
		return p.withoutPeer(ctx, known)
	case o.word == "completion":
		fmt.Fprint(own.Stdout, completion(own.Program, o.argument, known))
		return interp.StatusOK
	case o.word == "running":
		return p.listRunning(ctx)
	case o.word == "down":
		return p.down(ctx)
	case o.attach != "":
		return p.attached(ctx)
	}
	return p.run(ctx)
}

// withoutPeer runs commands that need no peer.
func (p *program) withoutPeer(ctx context.Context, known []*interp.Command) int {
	s := interp.New(interp.Config{
		Commands: known, Out: p.stdout, Err: p.stderr, JSON: p.json, Extern: p.externs.find, Externs: p.externs.all, StopOnError: true,
	})
	s.Run(ctx, p.commands)
	return s.ExitStatus()
}

// program is one run of Main.
type program struct {
	options
	own            Options
	stdin          io.Reader
	stdout, stderr io.Writer
	externs        externs

	term        terminal.Terminal // where lines come from
	interactive bool
	history     *interp.History
	session     *interp.Session
	host        *commands.Host
	levels      *commands.Levels // what is logged
	interrupt   func()           // ends the command that runs
	signal      atomic.Int32     // the signal that ends the program

	serving sync.Mutex // guards server
	server  *control.Server
}

func (p *program) run(ctx context.Context) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	input, closeInput, err := p.input()
	if err != nil {
		return p.fail(interp.StatusFailed, interp.CodeFailed, err.Error())
	}
	defer closeInput()
	p.session = interp.New(interp.Config{})
	p.interrupt = func() { p.session.Interrupt() }
	p.history = &p.session.History
	p.openTerminal(input)
	defer func() { _ = p.term.Close() }() // also when a command panics
	stop := p.handleSignals(cancel)
	defer stop()
	if p.word == "up" && p.log == nil {
		level := slog.LevelInfo
		p.log = &level
	}
	p.peer.Logger = p.logger()
	p.peer.Passphrase = p.passphrase(ctx)

	peer, note, err := startPeer(context.WithoutCancel(ctx), &p.options)
	if err != nil {
		return p.fail(interp.StatusStart, interp.CodeStart, whyNot(err))
	}
	p.host = commands.New(peer)
	p.host.SetLevels(p.levels)
	refused := interp.StatusOK
	if ctx.Err() == nil {
		refused = p.work(ctx, cancel, note)
	}
	status := p.leave(peer)
	if refused != interp.StatusOK {
		return refused
	}
	if s := p.signal.Load(); s != 0 && p.word == "" {
		const bySignal = 128
		return bySignal + int(s)
	}
	return status
}

// fail tells why nothing can be done and returns the status.
func (p *program) fail(status int, code, message string) int {
	if p.json {
		s := interp.New(interp.Config{Err: p.stderr, JSON: true})
		s.Report("juxta", &interp.Error{Status: status, Code: code, Message: message})
		return status
	}
	fmt.Fprintf(p.stderr, "%s: %s\n", p.own.Program, message)
	return status
}

// handleSignals ends the running command of an interactive shell on SIGINT, and
// the program on SIGTERM, SIGHUP and, if it runs a script, SIGINT.
func (p *program) handleSignals(cancel context.CancelFunc) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if s == os.Interrupt && p.interactive {
					if !p.term.Reading() { // or it came late: the command that it was for has ended
						p.interrupt()
					}
					_, _ = io.WriteString(p.term, "\n") // the terminal has shown ^C
					continue
				}
				if n, ok := s.(syscall.Signal); ok {
					p.signal.CompareAndSwap(0, int32(n))
				}
				cancel()
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-finished
	}
}

// input returns where commands come from: nil for -c.
func (p *program) input() (io.Reader, func(), error) {
	if p.hasCommand || p.word != "" {
		return nil, func() {}, nil
	}
	if p.script == "" {
		return p.stdin, func() {}, nil
	}
	f, err := os.Open(p.script)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the script: %w; help lists the commands", err)
	}
	return f, func() { _ = f.Close() }, nil
}

// openTerminal decides whether somebody sits there, and opens what fits.
func (p *program) openTerminal(input io.Reader) {
	in, inFile := p.stdin.(*os.File)
	out, outFile := p.stdout.(*os.File)
	p.interactive = !p.hasCommand && p.word == "" && p.script == "" && inFile && outFile && terminal.Interactive(in, out)
	if !p.interactive {
		if input == nil {
			input = eof{}
		}
		p.term = terminal.Lines(input, io.Discard, false)
		return
	}
	p.term = terminal.Open(terminal.Config{
		In: in, Out: out, History: p.history.Lines, Color: colour(), Dumb: os.Getenv("TERM") == "dumb",
	})
}

// eof is an input without lines.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// colour reports whether colours may be used, which NO_COLOR forbids.
func colour() bool { return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" }

// logger writes to standard error, above the prompt if that is a terminal. The command
// logging can change what it writes.
func (p *program) logger() *slog.Logger {
	level := commands.LevelOff
	if p.log != nil {
		level = *p.log
	}
	p.levels = commands.NewLevels(level)
	options := &slog.HandlerOptions{Level: slog.Level(math.MinInt32)} // p.levels decides
	if p.json {
		return slog.New(p.levels.Handler(slog.NewJSONHandler(p.errors(), options)))
	}
	return slog.New(p.levels.Handler(slog.NewTextHandler(p.errors(), options)))
}

// errors is where notices go: through the terminal, if standard error is one.
func (p *program) errors() io.Writer {
	if f, ok := p.stderr.(*os.File); ok && p.interactive && terminal.Interactive(f, f) {
		return p.term
	}
	return p.stderr
}

// work runs commands until there are no more, or, for up, until the program is
// told to end. It returns a status if it could not begin.
func (p *program) work(ctx context.Context, cancel context.CancelFunc, note string) int {
	host, s := p.host, p.session
	s.Config = interp.Config{
		Commands: p.own.commandsFor(host), Out: p.stdout, Err: p.errors(), JSON: p.json, Describe: host.Describe,
		StopOnError: !p.interactive && !p.keepGoing, Noticed: p.notice, Extern: p.externs.find, Externs: p.externs.all, Program: p.externs.system,
	}
	if p.interactive {
		s.Out, s.Terminal, s.Bold, s.Width = p.term, !p.json, colour(), p.term.Width
		s.ReadSecret = p.term.ReadSecret
		if argv := pager(); len(argv) > 0 && !p.noPager {
			s.Height = p.term.Height
			s.Page = func(ctx context.Context) (io.WriteCloser, error) { return p.page(ctx, argv) }
		}
	}
	if s.Width == nil {
		s.Width = func() int { return 0 }
	}
	if !p.hasCommand && p.word == "" {
		s.ReadLine = p.ask
	}
	if err := host.Attach(s); err != nil {
		s.Notice("shell", err.Error())
	}
	if note != "" {
		s.Notice("juxta", note)
	}
	switch {
	case p.word == "up":
		return p.up(ctx, cancel)
	case p.hasCommand:
		s.Run(ctx, p.commands)
		return interp.StatusOK
	case p.interactive:
		p.background()
		p.startInteractive(ctx)
	}
	p.lines(ctx)
	return interp.StatusOK
}

// startInteractive is what only a user who sits there wants: history, greeting,
// startup file, being reachable by talk.
func (p *program) startInteractive(ctx context.Context) {
	s, peer := p.session, p.host.Peer()
	if peer.Home() != "" {
		if err := s.History.Open(filepath.Join(peer.Home(), "history")); err != nil {
			s.Notice("history", err.Error())
		}
	}
	p.resume()
	p.term.SetCompleter(p.complete)
	if !p.json {
		_, _ = io.WriteString(p.term, greeting(peer))
	}
	if err := p.host.Login(ctx); err != nil {
		s.Notice("talk", "nobody can talk to you: "+err.Error())
	}
	if b, err := os.ReadFile(filepath.Join(peer.Home(), ".jshrc")); err == nil && peer.Home() != "" {
		s.Run(ctx, string(b))
	}
}

// resume shares again what was shared when the peer was last there.
func (p *program) resume() {
	if err := p.host.Resume(); err != nil {
		p.session.Notice("share", err.Error())
	}
}

// complete is the terminal's completer.
func (p *program) complete(before string, asked bool) []terminal.Suggestion {
	var all []terminal.Suggestion
	for _, x := range p.session.Complete(before, asked) {
		all = append(all, terminal.Suggestion{Text: x.Text, Description: x.Description})
	}
	return all
}

// ask reads a line for a command, which Ctrl-C ends.
func (p *program) ask(ctx context.Context, prompt string) (string, error) {
	if p.interactive {
		p.term.SetPrompt(prompt)
	}
	line, err := p.term.ReadAnswer(ctx)
	if errors.Is(err, terminal.ErrInterrupted) {
		p.interrupt()
		return "", context.Canceled
	}
	return line, err
}

// continuation is the prompt for the further lines of a command.
const continuation = "  ...> "

// lines reads and runs commands until the input or the session ends.
func (p *program) lines(ctx context.Context) {
	s := p.session
	for ctx.Err() == nil && !s.Exited() {
		p.term.SetPrompt(p.host.Prompt())
		s.Reading()
		src, err := p.command(ctx)
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				s.Notice("shell", err.Error())
			}
			return
		}
		if p.interactive {
			if src, err = p.recall(src); err != nil {
				s.Notice("history", err.Error())
				continue
			}
		}
		if status := s.Run(ctx, src); status != interp.StatusOK && s.StopOnError {
			return
		}
	}
}

// recall replaces a line that names one of the history, and keeps it.
func (p *program) recall(src string) (string, error) {
	text, recalled, err := p.history.Recall(src)
	if err != nil {
		return "", err
	}
	if recalled {
		_, _ = fmt.Fprintln(p.term, text)
	}
	if err := p.history.Add(text); err != nil {
		p.session.Notice("history", err.Error()) // the line can be run all the same
	}
	return text, nil
}

// command reads a line, and those that belong to it.
func (p *program) command(ctx context.Context) (string, error) {
	src, err := p.term.ReadLine(ctx)
	if err != nil {
		return "", err
	}
	for interp.Incomplete(src) {
		p.term.SetPrompt(continuation)
		more, err := p.term.ReadAnswer(ctx)
		if errors.Is(err, terminal.ErrInterrupted) {
			return "", nil // Ctrl-C gives up what was begun
		}
		if errors.Is(err, io.EOF) {
			if p.interactive {
				return "", nil // and so does Ctrl-D
			}
			return src, nil // the session tells what is missing
		}
		if err != nil {
			return "", err
		}
		src += "\n" + more
	}
	return src, nil
}

// leave closes everything and returns the exit status. After a signal the peer
// has a short time only.
func (p *program) leave(peer *peergroup.Peer) int {
	status := p.session.ExitStatus()
	if (p.interactive || p.word == "up") && !p.session.Exited() {
		status = interp.StatusOK // being told to end is no failure, whatever failed before
	}
	_ = p.term.Close()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		p.drain()
		p.session.Close()
		if err := errors.Join(peer.Close(), p.unserve()); err != nil && status == interp.StatusOK {
			fmt.Fprintf(p.stderr, "%s: %v\n", p.own.Program, err)
			status = interp.StatusFailed
		}
	}()
	if p.signal.Load() == 0 {
		<-closed
		return status
	}
	limit := time.NewTimer(leaveWithin)
	defer limit.Stop()
	select {
	case <-closed:
		return status
	case <-limit.C:
		return interp.StatusFailed
	}
}

// greeting is what a user sees first: who, where, what to do.
func greeting(peer *peergroup.Peer) string {
	where := "not listening"
	if all := peer.Addresses(); len(all) > 0 {
		// The kinds of one place are not worth a word; the first one every peer knows.
		first := max(0, slices.IndexFunc(all, func(a endpoint.Address) bool { return a.Protocol == "tcp" }))
		where = "listening on " + all[first].String()
		if others := hosts(all); others > 1 {
			where += fmt.Sprintf(" and %d more", others-1)
		}
	}
	return fmt.Sprintf("%s, %s, peer %s\n%s\npeers -r finds others, talk NAME chats with them, help lists all commands\n",
		peer.Name(), peer.Roles(), peer.ID().Short(), where)
}

// hosts counts the hosts in addresses.
func hosts(all []endpoint.Address) int {
	seen := map[string]bool{}
	for _, a := range all {
		host, _, _ := a.HostPort()
		seen[host] = true
	}
	return len(seen)
}
