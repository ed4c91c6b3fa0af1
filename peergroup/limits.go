package peergroup

import "time"

// Bounds on what the advertisements of strangers can make this peer do.
const (
	// maxImplementations bounds the implementations of one specification that are
	// looked at when a group is joined: two are published with a group, and anybody
	// may publish more.
	maxImplementations = 16

	// findImplementation bounds the search for them, and implementationGrace and
	// foreignGrace are how long others are waited for after the first one, if it is
	// for Juxta or for another platform.
	findImplementation  = 30 * time.Second
	implementationGrace = 300 * time.Millisecond
	foreignGrace        = 2 * time.Second
)

// Bounds on what a peer offers, and on what is believed of the offers of others.
const (
	// maxOffers bounds the offers of this peer in one group. They stand in its
	// advertisement, which travels with every lease.
	maxOffers = 32

	// maxOfferParam bounds the parameters of one offer in octets.
	maxOfferParam = 4 << 10

	// offerLocal and offerRemote are how long an offer lives in the own cache and
	// with others, and offerAgain how often it is renewed: what a peer offered that
	// is gone is soon forgotten.
	offerLocal  = time.Hour
	offerRemote = 30 * time.Minute
	offerAgain  = 20 * time.Minute
)

// Bounds on calls.
const (
	// MaxRequest and MaxReply bound the document of a call and of its answer in
	// octets, printed.
	MaxRequest = 64 << 10
	MaxReply   = 160 << 10

	// maxCode and maxWords bound the two parts of an error that travels, in octets.
	maxCode  = 64
	maxWords = 1 << 10

	// maxServing bounds the calls that one service of this peer works on at the same
	// time, and maxServingFor those for one caller; to others it says that it is busy.
	maxServing    = 64
	maxServingFor = 16

	// maxServe bounds the time that one call may take, whatever the caller says, and
	// answerTimeout that of sending the answer.
	maxServe      = 5 * time.Minute
	answerTimeout = 10 * time.Second

	// maxProviders bounds the providers considered in one call, and maxPeersLooked
	// the advertisements of peers looked through for some.
	maxProviders   = 64
	maxPeersLooked = 512

	// maxGood bounds the specifications of which the last good provider is
	// remembered.
	maxGood = 256
)

// Defaults of [CallOptions].
const (
	callAttempt  = 5 * time.Second
	callAttempts = 4

	// callTimeout bounds a call whose context has no deadline, and searchFor the time
	// without any further provider after which a call has failed.
	callTimeout = 30 * time.Second
	searchFor   = 6 * time.Second

	// askProvidersAgain is the time between the first two questions for providers; it
	// doubles with each further one.
	askProvidersAgain = time.Second
)
