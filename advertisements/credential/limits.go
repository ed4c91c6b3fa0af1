package credential

import "time"

const (
	// maxIdentity bounds a name in octets: it is shown to people.
	maxIdentity = 256

	// maxKind bounds what an error repeats of an unknown kind.
	maxKind = 64

	// maxChain bounds the certificates of a credential: a member's, that of the group
	// and one between them, and as many again. Each costs a verification.
	maxChain = 6

	// maxCertificate bounds a certificate in octets.
	maxCertificate = 8 << 10

	// maxSignature bounds a signature in octets: RSA of 8192 bits.
	maxSignature = 1 << 10

	// clockSkew is how far the clock of a member may be off.
	clockSkew = 5 * time.Minute

	// lineLength is how JXSE wraps base64.
	lineLength = 76
)
