package terminal

import "time"

const (
	// maxLine is the longest line read from a file or another program, in octets.
	// Advertisements and keys are pasted into scripts; a whole binary file is not.
	maxLine = 1 << 20

	// maxTypedAhead bounds the keys kept for the next line while a command runs.
	maxTypedAhead = 1 << 16

	// maxWaiting bounds what waits to be printed while another program has the terminal,
	// in octets; the beginning goes first.
	maxWaiting = 64 << 10

	// readWait is how long the keyboard waits before it looks whether the window
	// has changed or the line was called off.
	readWait = 50 * time.Millisecond

	// menuRows is how many suggestions are shown at once, if the window is high
	// enough.
	menuRows = 6

	// assumedRows is told to the library instead of the height of the window: it
	// wipes the screen of windows that it thinks too low.
	assumedRows = 1000

	// assumedColumns is used when the terminal does not tell its width.
	assumedColumns = 80
)
