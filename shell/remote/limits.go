package remote

import "time"

const (
	// MaxSessions is how many sessions a host has at a time, and MaxPeerSessions how many
	// of one peer: each has an interpreter and may run a command.
	MaxSessions     = 8
	MaxPeerSessions = 2

	// maxRefusals is how many peers are told at a time why they are refused; others
	// are hung up on.
	maxRefusals = 8

	// MaxLine is the longest line that a host takes, in octets. People type shorter ones,
	// and the language keeps several copies of it.
	MaxLine = 4 << 10

	// MaxOutput is how much one line may have written, in octets; then its commands are
	// ended. MaxTotal is the same for a whole session, which then ends.
	MaxOutput = 1 << 20
	MaxTotal  = 32 << 20

	// MaxIdle is how long a session may be without a line, MaxRun how long one line may
	// run, and MaxSession how long a session lasts at most.
	MaxIdle    = 5 * time.Minute
	MaxRun     = 2 * time.Minute
	MaxSession = time.Hour
)

const (
	// pingEvery is how often both sides say that they are there, and silent how long the
	// other may say nothing before it counts as gone. A connection does not notice
	// by itself that the other peer has died.
	pingEvery = 2 * time.Second
	silent    = 8 * time.Second

	// greetWithin is how long the first words of both sides may take.
	greetWithin = 10 * time.Second

	// writeWithin is how long the other side may take no output before it counts as gone.
	writeWithin = 30 * time.Second

	// lastWithin is the same for the word with which a host hangs up.
	lastWithin = 2 * time.Second

	// endWithin is how long a client waits for the end of a command that it has interrupted.
	endWithin = 3 * time.Second

	// maxWords bounds what a host says about itself, the reason of a refusal and a prompt.
	maxWords = 2 << 10

	// maxChunk is how much output goes into one frame.
	maxChunk = 16 << 10

	// maxWidth bounds the columns of a terminal.
	maxWidth = 1000
)
