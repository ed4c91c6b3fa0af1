package lan

import "time"

const (
	// maxPeers bounds the peers remembered from each source; a network may
	// claim any number.
	maxPeers = 256

	// maxAddresses bounds the addresses of a peer, announced and taken. They
	// are tried one after the other.
	maxAddresses = 8

	// maxString bounds one string of a TXT record with its key, in octets: its
	// length is one octet, and all answers fail when one string is longer.
	maxString = 255

	// maxText bounds all strings of a TXT record with their lengths, in
	// octets, so that the answer fits an Ethernet frame.
	maxText = 1200

	// maxStrings bounds the strings looked at in a record.
	maxStrings = 64

	// maxName and maxRoles bound what a peer calls itself, in octets.
	maxName  = 63
	maxRoles = 63

	// maxProtocol bounds the protocol of an address, in octets.
	maxProtocol = 16

	// maxEntries bounds the answers of one round and interface that are kept.
	maxEntries = 1024

	// maxInterfaces bounds the interfaces used; each costs sockets.
	maxInterfaces = 16

	// maxMissed is how many rounds without an answer make a peer lost. A
	// multicast datagram is easily lost.
	maxMissed = 3

	// maxUnseen is the same for readings of the meeting folder: one may just
	// miss a file that is being replaced.
	maxUnseen = 2

	// defaultInterval is the time between rounds; a random fifth is added or
	// taken away, so that peers started together drift apart.
	defaultInterval = 15 * time.Second
	jitterFraction  = 5

	// queryTime is how long answers of a round are waited for.
	queryTime = 500 * time.Millisecond

	// watchInterval is how often changes of the interfaces are looked for.
	watchInterval = 5 * time.Second

	// recordsLife is how long the own records are reused, so that a flood of
	// questions costs little.
	recordsLife = time.Second

	// lookInterval is how often the meeting folder is read, eagerInterval how
	// often in the first eagerTime, when neighbours are just being started.
	lookInterval  = 2 * time.Second
	eagerInterval = 500 * time.Millisecond
	eagerTime     = 5 * time.Second

	// touchInterval is how often a peer shows that it is alive, staleAfter when
	// others take it for gone, removeAfter when they remove what it left.
	touchInterval = 5 * time.Second
	staleAfter    = 3 * touchInterval
	removeAfter   = time.Minute

	// maxFile bounds a file of the meeting folder, maxFiles those looked at.
	maxFile  = 4096
	maxFiles = 1024

	// maxHost bounds the name of the machine in such a file, in octets.
	maxHost = 255
)
