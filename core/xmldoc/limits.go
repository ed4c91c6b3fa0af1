package xmldoc

const (
	// MaxDocument bounds a document in octets, read or written. Service lists
	// with every implementation inline take some 4 KiB, a group with a key chain
	// some 30 KiB; what is larger only costs its reader.
	MaxDocument = 256 << 10

	// MaxMarkup bounds the number of "<" in a document. It is counted before
	// parsing, since a tree of empty elements costs thirty times its text.
	MaxMarkup = 8192

	// MaxDepth bounds how deep elements nest.
	MaxDepth = 64

	// MaxAttributes bounds the attributes of one element; configuration
	// documents use a dozen.
	MaxAttributes = 32

	// MaxName bounds the name of an element or attribute in octets.
	MaxName = 128

	// MaxSameName bounds, when writing, how often one name may stand on the
	// path from the root to an element: JXSE takes twice as long for each
	// further level, and certificate chains need four.
	MaxSameName = 4
)
