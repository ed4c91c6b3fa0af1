package governance

import "time"

const (
	// MaxActs bounds the acts kept of one author, the earliest first: a
	// moderator who writes without end crowds out nobody else. Acts that ended
	// make room.
	MaxActs = 512

	// MaxSigners bounds the keys whose acts and signatures are kept: the
	// moderators of the charter, and those ever appointed, in order. With
	// [MaxActs] it bounds the acts of a group.
	MaxSigners = 64

	// MaxModerators bounds the moderators of a charter.
	MaxModerators = 32

	// MaxReason bounds the reason of an act in octets.
	MaxReason = 256

	// MaxKept bounds the acts that a dismissal keeps.
	MaxKept = 512

	// MaxTerm bounds the term of an exclusion that is not for ever, and
	// maxAhead how long after the act it may begin.
	MaxTerm  = 100 * 365 * 24 * time.Hour
	maxAhead = 366 * 24 * time.Hour

	// Tolerance is how far clocks may differ: acts dated later are refused until
	// their time has come, when members who have them offer them again.
	Tolerance = 2 * time.Minute

	// Margin is how long after its end an exclusion is still known, so that
	// nobody takes it for a new one.
	Margin = 24 * time.Hour

	// maxKey bounds a public key in octets: one of RSA with 8192 bits has 1062.
	maxKey = 1100

	// maxSignature bounds a signature in octets: that of such a key has 1024.
	maxSignature = 1024

	// maxAct bounds the document of an act in octets, and maxDismissal that of
	// one which keeps acts.
	maxAct       = 4 << 10
	maxDismissal = 24 << 10

	// maxCharter bounds the document of a charter in octets, so that the
	// advertisement can carry it.
	maxCharter = 20 << 10

	// maxKind bounds the name of a kind of act.
	maxKind = 32

	// maxYear bounds times, so that they can be computed with.
	maxYear = 9000

	// maxMotions bounds the motions in one message, by number and by octets of
	// their printed form; at least one goes in any case.
	maxMotions      = 256
	maxMotionOctets = 64 << 10

	// buckets is into how many parts the motions are divided to compare them, by
	// the first octet of their IDs; maxEntries bounds those compared by one message.
	buckets    = 256
	maxEntries = 2048

	// maxRounds bounds the messages of one comparison with another member.
	maxRounds = 16

	// compareEvery is how often a member compares its motions with another's,
	// give or take a third. An answer is waited for askTimeout, and the question
	// put askTimes.
	compareEvery = 3 * time.Second
	askTimeout   = 800 * time.Millisecond
	askTimes     = 3

	// maxComparing bounds the comparisons under way, and maxMet the members
	// waiting for one.
	maxComparing = 4
	maxMet       = 64

	// pushTimeout bounds telling the group of a new motion.
	pushTimeout = 5 * time.Second

	// saveEvery is the least time between two saves.
	saveEvery = time.Second

	// passOnTo is with how many other rendezvous one compares its motions at once
	// when another member has told it something.
	passOnTo = 3

	// pushRate and pushBurst bound the spread motions taken a second and at once.
	pushRate  = 200
	pushBurst = 1000

	// answerRate and answerBurst bound the questions answered a second and at
	// once, peerRate and peerBurst those of one peer, of which maxAskers are
	// remembered.
	answerRate  = 500
	answerBurst = 1000
	peerRate    = 20
	peerBurst   = 60
	maxAskers   = 1024

	// maxProposals bounds a list of proposals that a state shows.
	maxProposals = 1024
)

// Bounds of closed groups.
const (
	// overlap is how long an old secret still opens messages, and sealDelay how
	// long a new one is not yet used for sealing.
	overlap   = 30 * time.Second
	sealDelay = 3 * time.Second

	// maxHeld bounds the secrets on a keyring; more come only from who makes one
	// after the other.
	maxHeld = 8

	// maxNumber bounds the number of an epoch.
	maxNumber = 1 << 53

	// maxCovered bounds the exclusions that an epoch names, the latest ones: it is
	// made again when one comes that it does not name.
	maxCovered = 2048

	// maxCredential bounds the credential of a member in octets, and maxEpoch the
	// document of an epoch.
	maxCredential = 16 << 10
	maxEpoch      = 72 << 10

	// maxSealed bounds what is sealed to a member: an epoch printed, or a credential.
	maxSealed = 128 << 10

	// pollEvery is how often a member asks another one for a new secret, and
	// lookEvery how often it looks whether one has to be made.
	pollEvery = 5 * time.Second
	lookEvery = time.Second

	// askAtFirst is how many members are asked at once by one who has no secret.
	askAtFirst = 3

	// turnTime is how long each of those who could make a secret leaves it to the
	// one before, and maxTurn the most that adds up to.
	turnTime = 3 * time.Second
	maxTurn  = 30 * time.Second

	// aloneModerator and aloneMember are how long members who find nobody with a
	// secret wait before they make the first one.
	aloneModerator = 10 * time.Second
	aloneMember    = time.Minute

	// maxTell is to how many members a new secret is shown at once by its maker;
	// the others hear of it from these.
	maxTell = 32

	// maxHints bounds the rendezvous that one member names to another, and
	// maxHintOctets what they take sealed.
	maxHints      = 16
	maxHintOctets = 8 << 10

	// maxFetching bounds the questions for secrets under way, and fetchTimeout
	// the time of one.
	maxFetching  = 8
	fetchTimeout = 4 * time.Second
)
