package framing

const (
	// MaxWelcome bounds the welcome line with its CR LF in octets, as in JXSE.
	MaxWelcome = 4096

	// A welcome has five tokens at least, in any version known; the newest
	// known has seven.
	minTokens = 5
	maxTokens = 8

	// maxVersion bounds the version token of a welcome, which gets shown.
	maxVersion = 32

	// MaxHeader bounds the header block of a package in octets. JXSE 2.5 reads
	// no longer one either. Readers given to [ReadHeader] need a buffer of this
	// size.
	MaxHeader = 4096

	// Bounds of what stands in a header block: JXSE writes two headers.
	maxHeaders     = 16
	maxHeaderName  = 64
	maxHeaderValue = 1024
)
