package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/shell/control"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/terminal"
)

// suggestWithin is how long the other peer may take to complete a word.
const suggestWithin = 300 * time.Millisecond

// attachment is a shell whose commands run at another peer.
type attachment struct {
	*program
	client *control.Client
	prompt string
	exited bool
	status int // of the last command that failed

	current interruptible
}

// interruptHolds is how long Ctrl-C holds for a line that is about to run: it may
// be pressed between Enter and the start of the command.
const interruptHolds = 10 * time.Second

// interruptible is what Ctrl-C ends: the command that runs, or the one that begins
// in a moment.
type interruptible struct {
	mu     sync.Mutex
	cancel context.CancelFunc // nil: nothing runs
	early  time.Time          // when there was nothing to end
}

func (i *interruptible) interrupt() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cancel == nil {
		i.early = time.Now()
		return
	}
	i.cancel()
}

// reading tells that the next line is about to be read, for which no Ctrl-C was meant so far.
func (i *interruptible) reading() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.early = time.Time{}
}

// begin tells that a command runs which cancel ends, until end is called.
func (i *interruptible) begin(cancel context.CancelFunc) (end func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancel = cancel
	if !i.early.IsZero() && time.Since(i.early) < interruptHolds {
		cancel()
	}
	i.early = time.Time{}
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.cancel = nil
	}
}

// attached runs the commands at a peer that runs.
func (p *program) attached(ctx context.Context) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	input, closeInput, err := p.input()
	if err != nil {
		return p.fail(interp.StatusFailed, interp.CodeFailed, err.Error())
	}
	defer closeInput()
	c, err := control.Open(p.attach)
	if err != nil {
		return p.fail(interp.StatusFailed, interp.CodeFailed, short(err).Error())
	}
	defer c.Close()
	about, err := c.About(ctx)
	if status := p.unreachable(ctx, p.attach, err); status != interp.StatusOK {
		return status
	}
	p.session = interp.New(interp.Config{Out: p.stdout, Err: p.stderr, JSON: p.json}) // for notices only
	p.history = &p.session.History
	a := &attachment{program: p, client: c, prompt: about.Name + "> "}
	p.interrupt = a.current.interrupt
	p.openTerminal(input)
	defer func() { _ = p.term.Close() }() // also when something panics
	p.session.Err = p.errors()
	stop := p.handleSignals(cancel)
	defer stop()
	if p.hasCommand {
		a.run(ctx, p.commands)
	} else {
		a.lines(ctx)
	}
	if s := p.signal.Load(); s != 0 {
		const bySignal = 128
		return bySignal + int(s)
	}
	if p.interactive && !a.exited {
		return interp.StatusOK
	}
	return a.status
}

// lines reads and runs commands in one session until the input or the session
// ends.
func (a *attachment) lines(ctx context.Context) {
	if a.options.session == "" {
		a.options.session = fmt.Sprintf("attached-%d", os.Getpid())
		defer func() {
			const within = time.Second
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
			defer cancel()
			_ = a.client.EndSession(ctx, a.options.session) // it may have ended by itself
		}()
	}
	if a.interactive {
		listening, stop := context.WithCancel(ctx)
		var hearing sync.WaitGroup
		defer hearing.Wait()
		defer stop()
		hearing.Go(func() { a.hear(listening) })
		a.term.SetCompleter(func(before string, asked bool) (all []terminal.Suggestion) {
			ctx, cancel := context.WithTimeout(ctx, suggestWithin)
			defer cancel()
			found, err := a.client.Complete(ctx, a.options.session, before, asked)
			if err != nil {
				return nil
			}
			for _, x := range found {
				all = append(all, terminal.Suggestion{Text: x.Text, Description: x.Description})
			}
			return all
		})
	}
	for ctx.Err() == nil && !a.exited {
		a.term.SetPrompt(a.prompt)
		a.current.reading()
		src, err := a.command(ctx)
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				a.session.Notice("shell", err.Error())
			}
			return
		}
		if a.interactive {
			if src, err = a.recall(src); err != nil {
				a.session.Notice("history", err.Error())
				continue
			}
		}
		if strings.TrimSpace(src) == "" {
			continue
		}
		if status := a.run(ctx, src); status != interp.StatusOK && !a.interactive && !a.keepGoing {
			return
		}
	}
}

// hear shows what the shell of the other peer tells its user: the words of others.
func (a *attachment) hear(ctx context.Context) {
	for line, err := range a.client.Events(ctx) {
		var e struct{ Event, Command, Text string }
		if err != nil || json.Unmarshal(line, &e) != nil {
			return
		}
		switch e.Event {
		case "notice":
			a.session.Notice(e.Command, e.Text)
		case "end":
			a.session.Notice("shell", "the peer ends")
		}
	}
}

// run runs commands at the other peer and shows what they write.
func (a *attachment) run(ctx context.Context, src string) int {
	short, cancel := context.WithCancel(ctx)
	defer cancel()
	defer a.current.begin(cancel)()
	var out, errs io.Writer = a.stdout, a.stderr
	q := control.Request{Commands: src, Session: a.options.session, Continue: a.keepGoing, Text: !a.json}
	if a.interactive {
		out, errs, q.Continue = a.term, a.errors(), true
		q.Terminal, q.Bold, q.Width = !a.json, colour(), a.term.Width()
	}
	last, err := a.client.Run(short, q, func(l control.Line) {
		switch {
		case l.Out != nil:
			_, _ = fmt.Fprintf(out, "%s\n", l.Out)
		case l.Stdout != "":
			_, _ = io.WriteString(out, l.Stdout)
		case l.Stderr != "":
			_, _ = io.WriteString(errs, l.Stderr)
		case l.Notice != nil:
			_, _ = fmt.Fprintf(errs, "{\"notice\":%s}\n", l.Notice)
		case l.Error != nil:
			_, _ = fmt.Fprintf(errs, "{\"error\":%s}\n", l.Error)
		}
	})
	status := interp.StatusOK
	switch {
	case err != nil && short.Err() != nil && ctx.Err() == nil:
		status = interp.StatusInterrupted
		a.session.Report("shell", &interp.Error{Status: status, Code: interp.CodeInterrupted, Message: "interrupted"})
	case err != nil:
		status = a.unreachable(ctx, a.attach, err)
		a.exited = errors.Is(err, control.ErrNotRunning)
	default:
		status, a.exited = *last.Status, last.Exited
		if last.Prompt != "" {
			a.prompt = a.at(last.Prompt)
		}
	}
	if status != interp.StatusOK || a.exited {
		a.status = status
	}
	return status
}

// at names the peer in its prompt: "JXTA crew> " becomes "ann crew> ".
func (a *attachment) at(prompt string) string {
	name, _, _ := strings.Cut(strings.TrimSuffix(a.prompt, "> "), " ")
	return name + strings.TrimPrefix(prompt, "JXTA")
}

// unreachable tells why a peer that runs, or should, did not do what was asked,
// and returns the status.
func (p *program) unreachable(ctx context.Context, name string, err error) int {
	var refused *control.Refused
	switch {
	case err == nil:
		return interp.StatusOK
	case ctx.Err() != nil:
		return interp.StatusInterrupted
	case errors.Is(err, control.ErrNotRunning):
		text := fmt.Sprintf("no peer called %q runs", name)
		if strings.ContainsRune(name, os.PathSeparator) {
			text = "no peer listens on " + name
		}
		var others []string
		if all, err := control.Running(ctx); err == nil {
			for _, a := range all {
				others = append(others, a.Name)
			}
		}
		if len(others) > 0 {
			text += ", but: " + strings.Join(others, ", ")
		} else {
			text += fmt.Sprintf("; %s up %s starts one", p.own.Program, name)
		}
		return p.fail(interp.StatusNotFound, interp.CodeNotFound, text)
	case errors.As(err, &refused) && refused.Code == interp.CodeDenied, errors.Is(err, os.ErrPermission):
		return p.fail(interp.StatusDenied, interp.CodeDenied, fmt.Sprintf("%s may not be controlled by this user: %v", name, short(err)))
	case errors.As(err, &refused):
		text := refused.Message
		if refused.Hint != "" {
			text += "; " + refused.Hint
		}
		return p.fail(interp.StatusFailed, refused.Code, text)
	}
	return p.fail(interp.StatusFailed, interp.CodeFailed, short(err).Error())
}
