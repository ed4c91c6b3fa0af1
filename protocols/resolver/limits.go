package resolver

import "time"

const (
	// maxHC is the most times a query may have been forwarded to named peers
	// and still be processed, as in JXSE.
	maxHC = 2

	// maxBody bounds the body of a query or response in octets.
	maxBody = 256 << 10

	// MaxIndex bounds the document of an index message in octets, printed and
	// not compressed. JXSE knows no bound and puts whatever an edge has of one
	// kind into one message, 20,000 entries into some 3 MB, so a rendezvous that
	// takes less loses the index of a busy JXSE edge. It is still safe: they are
	// read one at a time, and one of 40,000 entries takes 60 MB for a moment.
	MaxIndex = 4 << 20

	// maxRatio bounds what a compressed index message unpacks to, as a multiple
	// of its size: lists of similar names come to 20 or 30. What would come to more
	// is sent as it is.
	maxRatio = 100

	// packFrom is the size in octets from which index messages are compressed. A
	// smaller one fits into a packet as it is, and a compressor takes most of a
	// megabyte, which a peer that never sends more does without.
	packFrom = 1 << 10

	// workers bounds the queries and responses handled at the same time, and
	// maxWaiting those that wait for it; beyond that they are dropped and
	// counted. Handlers may have to dial the asker.
	workers    = 16
	maxWaiting = 1024

	// maxWaitingBytes bounds the octets of those that wait, in each of the two
	// queues.
	maxWaitingBytes = 64 << 20

	// maxAsking bounds the questions of this peer that wait for answers.
	maxAsking = 4096

	// maxUnread bounds the answers to one question that the asker has not
	// taken yet; later ones are dropped and counted.
	maxUnread = 256

	// rememberFor is how long a query is remembered, to tell when it comes again
	// by another way: a walk through some hundred rendezvous takes that long. At
	// most maxRemembered are; beyond, the oldest is forgotten and counted. Of
	// each, maxTold peers to whom it was forwarded are remembered.
	rememberFor   = 30 * time.Second
	maxRemembered = 8192
	maxTold       = 1024

	// leastID makes all query IDs of this peer nine or ten digits long.
	leastID = 100_000_000

	// answerTimeout bounds sending one answer.
	answerTimeout = 10 * time.Second

	// spreadTTL is for queries to the whole group.
	spreadTTL = 200
)
