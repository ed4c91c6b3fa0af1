package interp

import (
	"context"
	"strings"

	"github.com/juxta-p2p/juxta/shell/lang"
)

// traceVariable announces every command before it runs, and the status of those that fail,
// if a variable of that name exists, whatever it holds.
const traceVariable = "echo"

// script runs steps and reports whether the one that called for them may go on. In a test, a
// command that fails ends nothing.
func (s *Session) script(ctx context.Context, steps lang.Script, test bool) bool {
	for i, step := range steps {
		switch {
		case step.When == lang.IfOK && s.Status() != StatusOK, step.When == lang.IfFailed && s.Status() == StatusOK:
			continue
		}
		tested := test || i+1 < len(steps) && steps[i+1].When == lang.IfFailed
		if !s.step(ctx, &step, tested) {
			return false
		}
		switch {
		case s.Exited(), s.Status() == StatusInterrupted:
			return false
		case ctx.Err() != nil:
			if s.Status() == StatusOK && i+1 < len(steps) { // between two commands
				s.Report("shell", classify(errInterrupted))
				s.setStatus(StatusInterrupted)
			}
			return false
		case s.Status() != StatusOK && s.StopOnError && !tested:
			return false
		}
	}
	return true
}

// step runs one step.
func (s *Session) step(ctx context.Context, x *lang.Step, test bool) bool {
	switch {
	case x.If != nil:
		return s.branch(ctx, x.If, test)
	case x.For != nil:
		return s.loop(ctx, x.For, test)
	}
	status := s.pipeline(ctx, x.Pipeline)
	if test {
		s.setTested(status)
	} else {
		s.setStatus(status)
	}
	return true
}

func (s *Session) branch(ctx context.Context, x *lang.If, test bool) bool {
	for _, b := range x.Branches {
		if !s.script(ctx, b.Test, true) {
			return false
		}
		if s.Status() == StatusOK {
			return s.script(ctx, b.Body, test)
		}
	}
	s.setStatus(StatusOK)
	return s.script(ctx, x.Else, test)
}

func (s *Session) loop(ctx context.Context, x *lang.For, test bool) bool {
	if s.Restricted {
		defer s.Vars.borrow(x.Name)()
	}
	for i := range x.Words {
		text, err := s.expander().expand(&x.Words[i])
		if err == nil {
			err = s.Store(x.Name, text)
		}
		if err != nil {
			s.Report("for", Failf("%s", trimPackage(err)))
			s.setStatus(StatusFailed)
			return test || !s.StopOnError
		}
		if !s.script(ctx, x.Body, test) {
			return false
		}
	}
	return true
}

// setTested notes the status of a command whose failure was expected: it is none of the
// program.
func (s *Session) setTested(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.exit {
		s.status = status
	}
}

// trace announces the commands of a pipeline, if that is asked for.
func (s *Session) trace(p lang.Pipeline, calls []*Call) {
	if _, ok := s.Vars.Get(traceVariable); !ok {
		return
	}
	var all []string
	for i, c := range calls {
		text := c.Name
		if p[i].Program {
			text = "!" + text
		}
		if p[i].Assign != "" {
			text = p[i].Assign + " = " + text
		}
		for _, w := range c.typed {
			text += " " + lang.Quote(w)
		}
		all = append(all, text)
	}
	s.Notice("shell", strings.Join(all, " | "))
}
