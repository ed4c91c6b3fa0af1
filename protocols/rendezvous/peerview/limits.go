package peerview

import "time"

const (
	// maxHeardDials bounds the addresses of a peer told of that are dialled past
	// the router.
	maxHeardDials = 3

	// DefaultLimit is how many members a view has at most; JXSE sets no limit.
	// A link to each fits in what an endpoint keeps open by default.
	DefaultLimit = 1024

	// happy is the size from which on a view is content, as in JXSE.
	happy = 4

	// maxDocuments bounds what is read of one message, in octets: an
	// advertisement has one or two KiB, the list of those known 4 octets for
	// each member.
	maxDocuments = 64 << 10

	// maxReferrals is how many members an answer tells of that the asker lacks.
	maxReferrals = 16

	// maxPerOrigin bounds the members that come from one network origin, except
	// from this machine: whoever invents peers needs as many places for them.
	maxPerOrigin = 64
)

// Time.
const (
	// kickFirst and kickMost bound the pause between kicks; it doubles while
	// there is no news. JXSE goes from 3 s to 93 or 189 s.
	kickFirst = 3 * time.Second
	kickMost  = 48 * time.Second

	// maxEager is how many kicks in a row follow each other by kickFirst only
	// because the view is small and seeds do not answer.
	maxEager = 20

	// seedsPerKick is how many seeds a small view probes at once.
	seedsPerKick = 8

	// maxSeeds bounds the seeds that are considered.
	maxSeeds = 1024

	// refresh is after how much silence a member is probed, give or take a
	// quarter for each member and time; JXSE drops members after 5 min.
	refresh = 4 * time.Minute

	// neighbourEvery is how often the next members in either direction are
	// probed, as in JXSE, unless they were heard within neighbourHeard.
	neighbourEvery = 30 * time.Second
	neighbourHeard = 25 * time.Second

	// answerTime is how long a member has to answer a probe, and maxTries how
	// many unanswered ones it may have. A second chance comes cheaper than
	// dropping a member that only was busy, and finding it again.
	answerTime = 10 * time.Second
	maxTries   = 2

	// postpone is when a member is probed that could not be because this peer
	// has too many links itself, and endure how long that is accepted.
	postpone = 30 * time.Second
	endure   = 15 * time.Minute

	// lostFirst and lostMost bound the pause between probes of one lost member,
	// lostLife how long it is remembered, and maxLost how many are.
	lostFirst = 15 * time.Second
	lostMost  = 2 * time.Minute
	lostLife  = 6 * time.Hour
	maxLost   = 1024

	// news is how long after the last new member the view is growing. In this
	// time a member that knows others is asked for them again after chaseSoon,
	// else after chaseLate: two views may differ for good, if their rules do.
	news      = 15 * time.Second
	chaseSoon = 3 * time.Second
	chaseLate = 2 * time.Minute

	// metAgain is how often the advertisement of a member is handed on when
	// nothing in it has changed; whoever keeps it does so for some minutes.
	metAgain = 2 * time.Minute

	// learnAgain is how often the route of a member is handed on when nothing in it
	// has changed, so that it does not pass for an old one.
	learnAgain = 15 * time.Minute

	// selfLife is how long the own advertisement is taken to be unchanged, unless
	// there is a kick from outside.
	selfLife = 10 * time.Second

	// shortest is the least time between two looks at the clock.
	shortest = 50 * time.Millisecond
)

// Sending.
const (
	// maxSending is how many messages are under way at once, of which maxDials
	// may need a link that is not there yet, so that peers that do not answer the
	// phone leave room for those on the line.
	maxSending = 8
	maxDials   = 6

	// maxQueue bounds each of the two queues of what is to be sent: one exchange
	// with every member of a full view.
	maxQueue = 1024

	// sendTimeout bounds sending one message, including opening a link.
	sendTimeout = 5 * time.Second

	// goodbyeTimeout bounds the farewell when a view is closed.
	goodbyeTimeout = time.Second
)

// Budgets: per second and at once.
const (
	// neighbourRate and neighbourBurst bound the messages taken from one peer.
	// An exchange with a peer that knows nothing brings 18.
	neighbourRate  = 20
	neighbourBurst = 200

	// pipeRate and pipeBurst bound what is taken from the propagate pipe, where
	// anybody can name any sender.
	pipeRate  = 20
	pipeBurst = 100

	// referralRate and referralBurst bound the probes that others cause by
	// telling of peers, and tellerRate and tellerBurst those that one of them
	// causes: a new member is told of 16 others by each one it meets. What goes
	// beyond the former waits, up to maxLine peers. The view asks to be told of more
	// while fewer than enough wait or were probed within replyTime and have not
	// answered.
	referralRate  = 20
	referralBurst = 64
	tellerRate    = 4
	tellerBurst   = 32
	maxLine       = 512
	enough        = 16
	replyTime     = 2 * time.Second

	// targetPause is how long a peer that others told of is left alone after a
	// probe, however often they tell, edgePause after it said that it is an edge,
	// and maxTargets how many such peers are remembered: more than the budget
	// yields in that time.
	targetPause = 30 * time.Second
	edgePause   = 5 * time.Minute
	maxTargets  = 4096

	// hintRate and hintBurst bound the probes caused by failure notices, and
	// hintPause is how long they cause none of the same member.
	hintRate  = 4
	hintBurst = 64
	hintPause = 10 * time.Second

	// suspectRate and suspectBurst bound the probes caused by links that went
	// down. A partition takes many at once; a peer whose links are all in use
	// closes one for each it opens, and must not go round in circles.
	suspectRate  = 4
	suspectBurst = 512

	// suspectPause is how long after a probe a member is not suspected again.
	suspectPause = time.Second

	// noticeRate and noticeBurst bound the failure notices this peer sends.
	noticeRate  = 2
	noticeBurst = 16

	// maxNeighbours bounds the peers whose budgets are remembered.
	maxNeighbours = 2048
)
