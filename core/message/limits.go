package message

const (
	// MaxElements bounds the elements of a message. JXSE stops at 32,767; real
	// messages have fewer than twenty.
	MaxElements = 1024

	// MaxNamespaces is what the octet of the namespace ID can tell apart beside
	// the two that need no declaration.
	MaxNamespaces = 253

	// MaxName bounds an element's name and a namespace in octets, to be kept or
	// shown without harm.
	MaxName = 1024

	// MaxType bounds an element's MIME type in octets.
	MaxType = 256

	// MaxSize bounds an encoded message in octets: what a transport accepts
	// unless it is configured otherwise.
	MaxSize = 8 << 20

	// Blobs of the JXSE 2.7 trailer: an RSA certificate, an ID, a signature.
	maxTrailerCert      = 8 << 10
	maxTrailerSource    = 256
	maxTrailerSignature = 1 << 10

	// nameBlock is how many octets of names share one allocation while decoding.
	nameBlock = 128

	// platformRoom is how many elements a new message takes without growing: what
	// routing and the two endpoint addresses need.
	platformRoom = 4

	// cloneRoom is how many more a clone takes: it is made for a header or two.
	cloneRoom = 2

	// maxNames bounds the names that a Decoder remembers, and maxRemembered each of
	// them in octets.
	maxNames      = 16
	maxRemembered = 64

	// poison is what released memory is overwritten with in tests.
	poison = 0xdb

	// maxFixed bounds the encoded form of a message to many that is kept for reuse, in octets.
	maxFixed = 72 << 10

	// minElement is the size of the smallest element: magic, namespace, flags,
	// empty name, empty body. Counts are checked against it before allocating.
	minElement = 12

	// A Reader reads streamBuffer octets at a time, reserves streamAhead of a
	// message before they came, and streamSpare besides, for the addresses at its end.
	streamBuffer = 64 << 10
	streamAhead  = 64 << 10
	streamSpare  = 512
)

// memoryClasses are the sizes of memory that is used again: what a link reads at
// once, and bodies of 16, 32 and 64 KiB with their message around them.
var memoryClasses = [...]int{2 << 10, 8 << 10, 18 << 10, 32 << 10, 72 << 10}
