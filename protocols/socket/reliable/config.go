// Package reliable makes one ordered, complete flow of blocks in each direction out
// of messages that may be lost, doubled or overtake each other: the layer under
// sockets and reliable bidirectional pipes.
//
// A [Conn] numbers what is written, keeps it until the other side has acknowledged
// it, and sends it again when it got lost or the way has changed. It knows nothing of
// pipes and peers: messages go out by a function and come in by [Conn.Take].
//
// It speaks the wire of JXSE 2.5, namespace "jxtarel", and a variant of it for two
// Juxta peers, with windows in octets, acknowledged in bulk; see [Mode].
package reliable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/juxta-p2p/juxta/core/message"
)

// Mode is how the two sides number and acknowledge. Both must use the same.
type Mode int

const (
	// Java is the wire of JXSE 2.5: blocks are numbered from 1 in 32 bits and each is
	// acknowledged when the reader takes it. An element `ack` holds int32s: the last
	// number taken, then those that are held besides. A sender starts with three
	// blocks under way and has Config.Window+1 at most.
	Java Mode = iota

	// Juxta uses the same elements between two Juxta peers that agreed on it.
	//
	// Numbers have 64 bits. `ack` holds uint64s: the last number up to which all
	// blocks came, then pairs of first and last number of those that are held
	// besides. `win` holds a uint64, the offset in the flow below which a block may
	// begin; the offset grows with each block by its octets and 64 more. Until the first
	// `win` it is 64 KiB. Acknowledgements are collected and ride along
	// with blocks. `retry` asks for one at once. Several blocks may share a message. A
	// block of type application/x-juxta-reliable-end is the last one.
	Juxta
)

func (m Mode) String() string {
	switch m {
	case Java:
		return "java"
	case Juxta:
		return "juxta"
	}
	return fmt.Sprintf("Mode(%d)", int(m))
}

// Config says how a Conn works. The zero value of everything but Send is usable.
type Config struct {
	Mode Mode

	// Send carries one message to the other side. It may add elements, and may block
	// until ctx ends, which happens when the Conn breaks. It is called from one
	// goroutine at a time, which is none of those that call methods of the Conn. The
	// message and the bodies in it must not be used after it returns.
	//
	// An error does not break the Conn: the message is sent again some time later,
	// until GiveUp.
	Send func(ctx context.Context, m *message.Message) error

	// Window bounds the blocks under way in mode Java; zero means 20, as sockets of
	// JXSE have; its bidirectional pipes have 50. Juxta peers count octets instead.
	Window int

	// ReceiveBytes bounds the octets held for the reader. What the sender may
	// have under way follows from it in mode Juxta; the least is 64 KiB. Zero means
	// 256 KiB in mode Juxta, growing by itself to 4 MiB for a fast reader on a long way; and
	// 8 MiB in mode Java, where the sender cannot be told.
	ReceiveBytes int

	// SendBytes bounds the octets kept until they are acknowledged; writers wait
	// beyond it. Zero means 4 MiB.
	SendBytes int

	// GiveUp is how long the Conn sends without any block being acknowledged, or without
	// any answer from a side that has no room, until it breaks. Zero means 60 s,
	// as JXSE has it.
	GiveUp time.Duration

	// Through reports whether messages go through other peers, and not over a link between
	// the two: the window then grows to 1 MiB only, unless the way is long. It is called now
	// and then, and must not wait. Nil means that they do not.
	Through func() bool

	// Batch returns how many octets of blocks a message may carry in mode Juxta, if there
	// are several blocks; it is called for each message, and must not wait. Nil means 64 KiB.
	Batch func() int

	Logger *slog.Logger // nil means silent
}

var (
	// ErrClosed is what writers get after CloseWrite, and everybody after Abort(nil). It
	// wraps [net.ErrClosed].
	ErrClosed = fmt.Errorf("reliable: %w", net.ErrClosed)

	// ErrNoHalf is the error of CloseWrite in mode Java, whose wire has no end.
	ErrNoHalf = errors.New("reliable: JXSE's wire cannot end one direction")

	// ErrGaveUp is the cause when the other side acknowledged nothing for
	// Config.GiveUp.
	ErrGaveUp = errors.New("reliable: the other side acknowledges nothing")

	// ErrExhausted is the error of writers when all numbers are used up, which are
	// 2^31-1 in mode Java and 2^62 in mode Juxta. JXSE would go on with negative ones,
	// which its other side drops. Reading goes on.
	ErrExhausted = errors.New("reliable: no block numbers left")

	errNoSend = errors.New("reliable: no Config.Send")

	// ErrTooLarge is the error of writing a block of more than MaxBlock.
	ErrTooLarge = errors.New("reliable: block exceeds the limit")
)

// withDefaults fills in what is zero.
func (cfg Config) withDefaults() Config {
	if cfg.Window <= 0 {
		cfg.Window = defaultWindow
	}
	if cfg.SendBytes <= 0 {
		cfg.SendBytes = defaultSendBytes
	}
	if cfg.GiveUp <= 0 {
		cfg.GiveUp = defaultGiveUp
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}
