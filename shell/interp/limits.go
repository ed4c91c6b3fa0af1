package interp

import "time"

const (
	// streamItems is how many results wait between two commands of a pipeline
	// before the writer has to wait for the reader.
	streamItems = 64

	// maxTableRows is how many rows a table collects to find the widths of its
	// columns before it is printed; the rest follows as a further table.
	maxTableRows = 1000

	// readAtOnce is how much of a file is read at once for "<", in octets.
	readAtOnce = 32 << 10

	// maxDepth is how deep commands may stand in each other that run scripts.
	maxDepth = 16

	// restrictedText is how many octets variables may put into a pipeline of a
	// restricted session: a short line with the same variable a thousand times must
	// not fill the memory of another's machine.
	restrictedText = 64 << 10

	// interruptHolds is how long Ctrl-C holds for a line that is about to run: it
	// may be pressed between Enter and the start of the command, which takes its time on a
	// busy machine. See [Session.Reading].
	interruptHolds = 10 * time.Second

	// HistoryLines is how many lines the history keeps, in memory and on disk.
	HistoryLines = 1000

	// maxHistoryLine is the longest line kept, in octets; pasted documents are not
	// worth recalling.
	maxHistoryLine = 4096

	// maxAliases bounds the names given to texts.
	maxAliases = 1000

	// maxVariables bounds the environment, which listings of a large network fill.
	maxVariables = 100_000

	// maxFilesRead is how many files of a folder are looked at for completion.
	maxFilesRead = 1000

	// maxSuggestions bounds what the completion menu is given.
	maxSuggestions = 100
)
