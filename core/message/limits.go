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

	// minElement is the size of the smallest element: magic, namespace, flags,
	// empty name, empty body. Counts are checked against it before allocating.
	minElement = 12

	// A Reader reads streamBuffer octets at a time, reserves streamAhead of a
	// message before they came, and streamSpare besides, for the addresses at its end.
	streamBuffer = 64 << 10
	streamAhead  = 64 << 10
	streamSpare  = 512
)
