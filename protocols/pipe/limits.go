package pipe

import "time"

const (
	// defaultQueue and defaultQueueBytes bound the messages of an input pipe
	// that wait for their reader; JXSE has 100 and no bound in octets. One
	// message is always taken, however large.
	defaultQueue      = 1024
	defaultQueueBytes = 16 << 20

	// FullWait is the longest that a message of a unicast pipe waits for room
	// in a full queue. Meanwhile the link it came on is not read, which slows
	// its sender down. If the time runs out the oldest message is dropped, and
	// later ones do not wait until the reader has taken one.
	FullWait = 250 * time.Millisecond

	// A sender on a unicast pipe may send firstMessages and firstBytes before it was
	// told how much there is room for; no one is ever told less.
	firstMessages = 32
	firstBytes    = 128 << 10

	// It asks when it may send no more than askAt and askAtBytes, and every probeEvery
	// while it may not; after maxSilent times without an answer it sends all the same.
	askAt      = firstMessages / 2
	askAtBytes = firstBytes / 2
	probeEvery = time.Second
	maxSilent  = 5

	// answerWithin is how long it waits for an answer before a single message goes
	// nevertheless.
	answerWithin = 100 * time.Millisecond

	// It is told again after a noticePart of what there is room for, within
	// noticeWait.
	noticePart = 4
	noticeWait = 2 * time.Second

	// maxFlows bounds the senders to one input pipe that are told.
	maxFlows = 256

	// elementWeight is what an element counts for besides its name and its body.
	elementWeight = 16

	// maxReported bounds the messages to one peer on one pipe that are to be reported
	// and are not, and maxRanges the ranges of them in one notice.
	maxReported = 4096
	maxRanges   = 512

	// A message counts as lost when the other side has said unseenLimit times that it
	// has not come, after ones that have; and as unconfirmed when the other side has
	// not answered giveUpAfter times.
	unseenLimit = 2
	giveUpAfter = 120

	// maxCounter bounds what a stranger counts, so that adding to it is safe.
	maxCounter = 1 << 62

	// seenOpen is how many message IDs a propagate pipe with a listener here
	// remembers, so that nothing is delivered twice; seenRelayed is what JXSE
	// remembers, and what is enough to relay.
	seenOpen    = 4096
	seenRelayed = 250

	// maxRelayed bounds the propagate pipes without a listener here for which
	// something is remembered: a stranger can name any number of them.
	maxRelayed = 4096

	// lanes is how many propagate pipes are relayed at the same time, and
	// maxLane bounds the messages that wait for that in each lane; beyond it
	// new ones are dropped and counted.
	lanes   = 8
	maxLane = 1024

	// relayWait bounds giving one copy to one listener, and slowPause is for
	// how long a listener for which that was not enough is passed over.
	relayWait = 500 * time.Millisecond
	slowPause = 5 * time.Second
	maxSlow   = 1024

	// wireTTL is the hop count of messages to everybody, as in JXSE; larger
	// ones are read as this.
	wireTTL = 200

	// maxPeers bounds the peers that a query or an answer may name. A query
	// names those that may answer.
	maxPeers = 100

	// maxHolders bounds the peers to which a query is forwarded, as in JXSE.
	maxHolders = 20

	// maxMsgID bounds the text of a message ID; those of JXSE have 36
	// characters.
	maxMsgID = 256

	// forever is the life of an index entry as JXSE announces it, in
	// milliseconds; the index shortens it.
	forever = 1<<63 - 1

	// answerLife is how long an answer is remembered at least, as in JXSE.
	answerLife = 10 * time.Minute

	// maxAskers bounds the peers that are told when an input pipe closes: the
	// latest ones to which it was announced.
	maxAskers = 64

	// A query is repeated after askFirst, then after twice as long each time,
	// and every askMost in the end.
	askFirst = 500 * time.Millisecond
	askMost  = 5 * time.Second

	// askWait bounds handing one query to one peer, answerWait one answer.
	askWait    = 5 * time.Second
	answerWait = 10 * time.Second

	// walkWait bounds passing a message on to the other rendezvous.
	walkWait = 5 * time.Second

	// maxRounds bounds the questions of one search of which answers are still taken.
	maxRounds = 8

	// nearRounds is how many times a rendezvous asks those of its view among which
	// the answer should be, before it asks all.
	nearRounds = 2

	// maxFound bounds answers to one search that nobody has looked at yet.
	maxFound = 16

	// announceWait bounds telling the rendezvous about a pipe that opens, and
	// goodbyeWait about one that closes.
	announceWait = 5 * time.Second
	goodbyeWait  = time.Second

	// reachWait is how long a peer to which there is no link may take to be
	// reached before the pipe looks for another one.
	reachWait = 3 * time.Second

	// secureWait is the same on a secure pipe: proving who one is takes some round
	// trips, and a way that is gone is waited for.
	secureWait = 30 * time.Second

	// maxMoves bounds how often one message makes its pipe look for a peer.
	maxMoves = 4

	// An output pipe that is in use asks its peer every verifyEvery whether the
	// input pipe is still open, repeats that every verifyAgain and gives up
	// after verifyFor; then it looks for another peer for as long. All as in
	// JXSE. upkeepEvery is how often it is looked after what is due.
	verifyEvery = 20 * time.Minute
	verifyAgain = 24 * time.Second
	verifyFor   = time.Minute
	upkeepEvery = time.Minute

	// maxProof bounds what a sender shows with a message, in octets: a credential with
	// a few certificates.
	maxProof = 32 << 10
)
