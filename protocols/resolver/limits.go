package resolver

import "time"

const (
	// maxHC is the most times a query may have been forwarded to named peers
	// and still be processed, as in JXSE.
	maxHC = 2

	// maxBody bounds the body of a query or response in octets.
	maxBody = 256 << 10

	// maxInflated and maxRatio bound an index message that comes compressed.
	maxInflated = 1 << 20
	maxRatio    = 100

	// workers bounds the queries and responses handled at the same time, and
	// maxWaiting those that wait for it; beyond that they are dropped and
	// counted. Handlers may have to dial the asker.
	workers    = 16
	maxWaiting = 1024

	// maxAsking bounds the questions of this peer that wait for answers.
	maxAsking = 4096

	// maxUnread bounds the answers to one question that the asker has not
	// taken yet; later ones are dropped and counted.
	maxUnread = 256

	// answerTimeout bounds sending one answer.
	answerTimeout = 10 * time.Second

	// spreadTTL is for queries to the whole group.
	spreadTTL = 200
)
