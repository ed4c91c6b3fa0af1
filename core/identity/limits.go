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

	// MinPassphrase is the shortest passphrase that keys are encrypted with, in
	// octets. It keeps out mistakes, not bad passphrases.
	MinPassphrase = 8

	// attempts is how often somebody is asked for a passphrase.
	attempts = 3

	// scryptN, scryptR and scryptP are what a guess at a passphrase costs: 16 MiB
	// of memory, gone through five times, a fifth of a second. Openssl does not use
	// more memory unless it is told to.
	scryptN, scryptR, scryptP = 1 << 14, 8, 5

	// maxScryptMemory and maxScryptWork bound what an encrypted key that came from
	// elsewhere makes us spend: N·r, of 128 octets each, 64 MiB together; and N·r·p,
	// some seconds.
	maxScryptMemory = 1 << 19
	maxScryptWork   = 1 << 24
	maxScryptR      = 64
	maxScryptP      = 64

	// maxIterations bounds those of PBKDF2, some seconds.
	maxIterations = 10_000_000

	// maxSalt bounds the salt of either in octets.
	maxSalt = 1 << 10

	// MaxHandovers bounds what a [Succession] keeps: a key a year for each of a
	// thousand friends. They take up to 8 KiB each, a tenth of that with Ed25519.
	MaxHandovers = 1024

	// MaxSuccessors bounds the successors kept of one peer: two show that its key
	// is in other hands, a few more let its owner be found among them.
	MaxSuccessors = 8

	// maxChain bounds the hand-overs of a peer itself that it keeps and publishes.
	maxChain = 24

	// maxSerial, maxReason (octets) and maxTime (Unix, the year 9999) bound what a
	// hand-over says.
	maxSerial = 1 << 31
	maxReason = 64
	maxTime   = 253402300799
)
