package seeding

import "time"

const (
	// MaxDocument bounds a document in octets, as xmldoc does: 256 addresses
	// take some 10 KiB, an access list with a thousand entries 150 KiB.
	MaxDocument = 256 << 10

	// MaxAddresses bounds the addresses taken from one document, so that one
	// server cannot crowd out the others. What follows is passed over.
	MaxAddresses = 256

	// MaxTotal bounds the addresses of all documents together; each may cost an
	// attempt to connect.
	MaxTotal = 1024

	// MaxURIs bounds the configured URIs, which are loaded side by side.
	MaxURIs = 32

	// maxURI bounds the text of a URI in octets.
	maxURI = 2048

	// maxEntries bounds the entries of an access list. More would not fit
	// xmldoc.MaxMarkup.
	maxEntries = 4096

	// refreshEvery is the time between loads that succeed, as in JXSE.
	refreshEvery = 30 * time.Minute

	// retryStep times the number of failures in a row is the time until the next
	// attempt, at most refreshEvery, as in JXSE.
	retryStep = 5 * time.Minute

	// jitterPercent is by how much those times vary either way, so that the
	// peers of a network do not all ask at once.
	jitterPercent = 10

	// loadTimeout bounds one load, from the first redirect to the last octet: a
	// server that trickles holds a connection no longer.
	loadTimeout = 30 * time.Second

	// dialTimeout, handshakeTimeout and headerTimeout bound the steps of a
	// request with the default client.
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	headerTimeout    = 15 * time.Second

	// maxRedirects bounds how often a server may send us elsewhere.
	maxRedirects = 3

	// maxHeader bounds the header of an answer in octets, with the default client.
	maxHeader = 64 << 10

	// maxValidator bounds an ETag or a Last-Modified that is remembered, in
	// octets; longer ones are passed over.
	maxValidator = 512
)
