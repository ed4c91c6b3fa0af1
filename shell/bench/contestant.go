// Package bench measures how fast messages and streams go between processes: of Juxta
// over chosen transports, beside plain connections as the limit. Other contestants can
// be given to it, so that all are measured in one run, their rounds interleaved.
//
// Every result is checked: what arrived was counted, and was in order.
package bench

import (
	"context"
	"io"
	"time"
)

// Contestant is one way to carry messages between two processes. Functions that are
// nil stand for what it does not do.
type Contestant struct {
	// Name is shown, and chosen by.
	Name string

	// About says in a few words what it is.
	About string

	// Floor says that it is no contestant but the limit.
	Floor bool

	// WarmUp is for how long it runs before anything is measured; zero means a fifth
	// of the measurement.
	WarmUp time.Duration

	// Listen serves conversations. addr is what Dial of another process needs.
	// accept waits for the next one.
	Listen func(Options) (addr string, accept func() (Conn, error), err error)
	Dial   func(addr string, o Options) (Conn, error)

	// ListenStream and DialStream are the same for streams of octets.
	ListenStream func(Options) (addr string, accept func() (io.ReadWriteCloser, error), err error)
	DialStream   func(addr string, o Options) (func() (io.ReadWriteCloser, error), error)

	// Publish sends to all that have subscribed; flush may be nil. Subscribe calls f
	// with each message, which is valid until f returns.
	Publish   func(subscribers int, o Options) (addr string, publish func([]byte) error, flush func() error, err error)
	Subscribe func(addr string, o Options, f func([]byte)) error

	// Serve is a server to start with, and Start what a whole process does until it
	// is ready. home is a folder of the contestant's own, which the next round finds as it
	// was left.
	Serve func(Options) (addr string, err error)
	Start func(addr, home string) error

	// Measure is for a contestant of another language: it starts its processes and
	// measures one workload of those in Works by itself. The functions above are nil then.
	Measure func(ctx context.Context, work string, size int, length time.Duration) (Result, error)
	Works   []string
}

// Options are what a contestant may need to know.
type Options struct {
	Size int // of the messages, in octets

	// Inline says that every message is answered at once, so that a contestant may
	// choose to have it handled where it comes in; its conversations are then
	// [Handler] too.
	Inline bool
}

// Handler is a [Conn] that can have messages handled where they come in.
type Handler interface {
	// Handle has f called with every message from now on, which is valid until f
	// returns; Receive is not called any more.
	Handle(f func([]byte))
}

// Conn is a conversation: messages both ways, in order. One goroutine may send while
// another receives.
type Conn interface {
	// Send sends one message, or puts it where Flush sends it from.
	Send(b []byte) error
	Flush() error

	// Receive returns the next message, which is valid until the next call.
	Receive() ([]byte, error)
	Close() error
}
