package xfer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/juxta-p2p/juxta/core/message"
)

// Send sends a file, block by block, with put, which must not keep the message. info
// must have Name and Size; User is [Anonymous] if empty, Block is [DefaultBlock] if 0,
// and Identifier is made if empty. sent, unless nil, is told after each block how many octets
// have gone.
//
// An empty file is one message without data. Send fails if put does, if r has fewer
// octets than info says, or with [ErrTooLarge].
func Send(ctx context.Context, r io.Reader, info Info, put func(context.Context, *message.Message) error, sent func(octets int64)) error {
	if info.User == "" {
		info.User = Anonymous
	}
	if info.Block == 0 {
		info.Block = DefaultBlock
	}
	if info.Identifier == "" {
		info.Identifier = rand.Text()
	}
	if info.Block > MaxBlock {
		return fmt.Errorf("%w: blocks of %d octets, %d may be", ErrTooLarge, info.Block, MaxBlock)
	}
	n, err := info.blocks()
	if err != nil {
		return err
	}
	for i := range n {
		b := Block{Identifier: info.Identifier, Sequence: i, Data: make([]byte, info.length(i))}
		if i == 0 {
			b.Info = &info
		}
		if _, err := io.ReadFull(r, b.Data); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the file has become shorter
			}
			return fmt.Errorf("xfer: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("xfer: %w", context.Cause(ctx))
		}
		if err := put(ctx, b.Message()); err != nil {
			return fmt.Errorf("xfer: block %d: %w", i, err)
		}
		if sent != nil {
			sent(int64(i)*info.Block + int64(len(b.Data)))
		}
	}
	return nil
}
