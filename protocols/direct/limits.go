package direct

import "time"

const (
	// upgradeTimeout bounds one attempt to open a link; punchTimeout the dialling
	// in it, and answerTimeout the wait for the other peer's addresses.
	upgradeTimeout = 12 * time.Second
	punchTimeout   = 8 * time.Second
	answerTimeout  = 3 * time.Second

	// maxAddresses bounds the addresses in a message, maxCandidates those tried:
	// whoever asks for an attempt chooses where this peer dials.
	maxAddresses  = 16
	maxCandidates = 6

	// maxAttempts bounds the attempts at one time, begun here or by others.
	maxAttempts = 16

	// pauseAfter is how long a peer is left alone after a failed attempt; it doubles
	// with each up to pauseSilent, which holds at once after one that an original
	// peer did not answer.
	pauseAfter  = time.Minute
	pauseSilent = 30 * time.Minute

	// servedEvery is the least time between two attempts that one peer begins, and
	// servedRate bounds those of all, in a second: a stranger must not make this
	// peer dial for him.
	servedEvery = 10 * time.Second
	servedRate  = 20.0 / 60
	servedBurst = 20

	// looseRate and looseBurst are the same for those of peers that have not proven
	// who they are, as those that others pass on, and maxLoose the addresses tried
	// for them: each of them may be the same one under many names.
	looseRate  = 10.0 / 60
	looseBurst = 10
	maxLoose   = 4

	// maxRemembered bounds the peers remembered in each table.
	maxRemembered = 1024

	// nonceOctets is the length of the number that names an attempt.
	nonceOctets = 16

	// probeTimeout bounds dialling one address for somebody who wants to know
	// whether he can be reached, and maxProbed the addresses.
	probeTimeout = 3 * time.Second
	maxProbed    = 4

	// maxReason bounds the words on why an address cannot be reached.
	maxReason = 256

	// maxSamples bounds the sightings an Observer keeps for each protocol.
	maxSamples = 32
)
