package xfer

import "time"

const (
	// DefaultBlock is how many octets of a file go into one message unless the sender
	// is told otherwise, as in the original shell.
	DefaultBlock = 15360

	// MaxBlock bounds them: messages have up to 8 MiB, and a block that is lost or wrong
	// is lost in one go.
	MaxBlock = 1 << 20

	// MaxBlocks bounds the blocks of a file. The receiver keeps a bit for each: 512 KiB.
	MaxBlocks = 1 << 22

	// MaxSize bounds a file in octets. Files come unasked, so others must not be able
	// to fill the disk with one of them.
	MaxSize = 4 << 30

	// MaxTotal bounds the octets that a Receiver takes in all, for the same reason.
	MaxTotal = 16 << 30
)

// What a message may say.
const (
	maxIdentifier = 256      // octets of the identifier of a file, which is kept while it comes
	maxName       = 1 << 10  // octets of a name
	maxAdv        = 32 << 10 // octets of the advertisement of the sender's pipe
	maxInfo       = 64 << 10 // octets of the element with all that
)

const (
	// maxOpen bounds the files that come at a time, and maxOpenPeer those of one peer:
	// each has an open file and a table of its blocks.
	maxOpen     = 32
	maxOpenPeer = 8

	// idle is how long a file may wait for its next block. Senders never say that they
	// give up.
	idle = 2 * time.Minute

	// sweepEvery is how often files that wait for longer are looked for.
	sweepEvery = 15 * time.Second

	// staleAfter is after how long a file that was begun and never finished is removed when
	// files are received in its folder again: no other program can still be writing it.
	// maxTidied bounds the files that are looked at for that.
	staleAfter = 24 * time.Hour
	maxTidied  = 10_000

	// waiting bounds the blocks that wait to be written.
	waiting = 16

	// maxCopies bounds the files of one name: NAME, NAME.copy, NAME.copy2, …
	maxCopies = 100
)
