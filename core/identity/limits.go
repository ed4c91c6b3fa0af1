package identity

const (
	// maxFile bounds the identity file in octets: the largest RSA key with its
	// certificate takes about 10 KiB.
	maxFile = 32 << 10

	// maxSPKI bounds the DER of a public key in octets: RSA of maxRSABits takes
	// about 1.1 KiB.
	maxSPKI = 2 << 10

	// minRSABits is the weakest RSA key that signatures are checked with: JXSE
	// signs with 1024 bits.
	minRSABits = 1024

	// minProofBits is the weakest RSA key that proves a peer ID. 1024 bits can be
	// broken by those who can spend a lot, and would give them the peer's name.
	minProofBits = 2048

	// maxRSABits keeps strangers from making us compute with huge keys: the time
	// to check one signature grows with the square of the length.
	maxRSABits = 8192
)
