package socket

import (
	"context"
	"net"
	"os"
	"sync"
	"time"
)

// deadline is when one direction of a connection gives up waiting. The zero value
// never does.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	moves  uint64 // how often it was moved
	passed expiry // closed when the deadline passes; replaced when it is moved afterwards
	over   bool   // passed for good
}

// set moves the deadline; the zero time means none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return
	}
	d.moves++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	left := time.Until(t)
	if !t.IsZero() && left <= 0 {
		d.pass()
		return
	}
	if d.passed != nil && d.passed.Err() != nil {
		d.passed = nil
	}
	if t.IsZero() {
		return
	}
	move := d.moves
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.moves == move {
			d.pass()
		}
	})
}

// pass wakes who waits. d.mu is held.
func (d *deadline) pass() {
	if d.passed == nil {
		d.passed = make(expiry)
	}
	if d.passed.Err() == nil {
		close(d.passed)
	}
}

// wait returns what ends when the deadline passes.
func (d *deadline) wait() expiry {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.passed == nil {
		d.passed = make(expiry)
	}
	return d.passed
}

// end lets the deadline pass now and for good: nobody is to wait any more.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.moves++
	d.over = true
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.pass()
}

// expiry is a deadline as a context, which costs nothing to make. Its error is that
// of package net.
type expiry chan struct{}

var _ context.Context = expiry(nil)

// Deadline implements [context.Context].
func (expiry) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements [context.Context].
func (x expiry) Done() <-chan struct{} { return x }

// Err implements [context.Context].
func (x expiry) Err() error {
	select {
	case <-x:
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

// Value implements [context.Context].
func (expiry) Value(any) any { return nil }

// timeoutError says what took too long, and is a timeout to package net.
type timeoutError struct {
	what string
	err  error
}

var _ net.Error = (*timeoutError)(nil)

// Error implements error.
func (e *timeoutError) Error() string { return e.what + ": " + e.err.Error() }

// Timeout implements [net.Error].
func (e *timeoutError) Timeout() bool { return true }

// Temporary implements [net.Error].
func (e *timeoutError) Temporary() bool { return true }

// Unwrap returns the cause.
func (e *timeoutError) Unwrap() error { return e.err }
