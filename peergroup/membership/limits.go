package membership

import "time"

const (
	// MaxLogins bounds the names of a password group: they stand in the group's
	// advertisement, which every member keeps.
	MaxLogins = 1024

	// maxName bounds the name of a member in octets: it is shown to people.
	maxName = 256

	// maxValue bounds what is set into a field, in octets.
	maxValue = 1 << 10

	// maxFile bounds a file of fields in octets.
	maxFile = 16 << 10

	// maxPEM bounds an invitation, a request or the key of an issuer in octets.
	maxPEM = 64 << 10

	// MaxRevoked bounds the certificates that a list of revocations names, and
	// maxList the list in octets.
	MaxRevoked = 4096
	maxList    = 256 << 10

	// MaxIssued bounds the certificates that an issuer remembers having issued.
	MaxIssued = 1024

	// maxCertificate bounds a certificate in octets, maxChain those of a chain.
	maxCertificate = 8 << 10
	maxChain       = 4

	// maxIterations bounds what a stranger's key container has us compute.
	maxIterations = 100_000

	// maxKey bounds the sealed key of a group in octets: RSA of 8192 bits.
	maxKey = 16 << 10

	// MaxVerified bounds the credentials that were verified and are remembered;
	// verifying costs some 100 microseconds. The oldest make room.
	MaxVerified = 1024

	// MaxKnown bounds the members remembered that have shown a credential.
	MaxKnown = 4096

	// MaxOut bounds the peers remembered whose certificate was revoked.
	MaxOut = 4096

	// verifiedFor is how long a verified credential is not verified again, and
	// KnownFor how long a peer counts as a member after it has shown one: the messages
	// of a unicast pipe carry none. Both end with the certificate, and at once when it
	// is revoked.
	verifiedFor = 5 * time.Minute
	KnownFor    = 24 * time.Hour

	// maxCredentials bounds the own credentials.
	maxCredentials = 16
)
