package socket

import "time"

const (
	// dialWait bounds dialling, as in JXSE.
	dialWait = 15 * time.Second

	// knownWait is how long a peer that listened on the pipe before may take to
	// answer, until it is asked again who listens.
	knownWait = time.Second

	// A Juxta peer is sent the same request again askFirst after it, then after
	// twice as long each time up to askMost: it drops what is too much at a time.
	askFirst = 500 * time.Millisecond
	askMost  = 4 * time.Second

	// maxKnown bounds the pipes of which it is remembered who listened.
	maxKnown = 1024

	// acceptWait bounds answering a request: the way to the dialler may have to be
	// looked for.
	acceptWait = 15 * time.Second

	// defaultBacklog is how many connections wait to be accepted, as in JXSE.
	defaultBacklog = 50

	// maxHalfOpen and maxPeerHalfOpen bound the requests that are answered at a
	// time, in all and of one peer: each costs a goroutine, and parsing what a
	// stranger wrote.
	maxHalfOpen     = 64
	maxPeerHalfOpen = 8

	// maxDocument bounds each document of a handshake in octets.
	maxDocument = 64 << 10

	// maxRemembered and maxRememberedSize bound the peer advertisements that are
	// remembered, in number and octets each: who dials often sends the same.
	maxRemembered     = 128
	maxRememberedSize = 8 << 10

	// maxReason bounds the words with which a peer refuses.
	maxReason = 256

	// maxBlock is how many octets of a stream go in one message. JXSE sends up to
	// 256 KiB and takes any size.
	maxBlock = 64 << 10

	// The first message has firstBlock, each of the next growBlock twice as much.
	firstBlock = 8 << 10
	growBlock  = 3

	// slowBlock is the same on a slow link that others wait for.
	slowBlock = 4 << 10

	// javaWindow is how many blocks are under way to a Java peer, as in JXSE.
	javaWindow = 20

	// giveUp is how long what was written may stay unacknowledged, and a peer to
	// which there is no way may stay away, before the connection breaks, as in JXSE.
	giveUp = 60 * time.Second

	// looseQueue is how many elements of an unreliable connection wait for the
	// reader, as in JXSE; those beyond are dropped and counted.
	looseQueue = 20

	// A connection that is closed tells the other side closeAgain after the last
	// time, twice as long after each time up to closeMost, as JXSE always does;
	// and looseWait is how long an unreliable one waits for the answer, which JXSE
	// never gives.
	closeAgain = time.Second
	closeMost  = 20 * time.Second
	looseWait  = time.Second

	// goodbyeWait bounds closing all connections with the service.
	goodbyeWait = time.Second

	// lanes is how many control messages are sent at the same time, maxLane how
	// many wait in each lane, and controlWait how long one may take.
	lanes       = 8
	maxLane     = 8192
	controlWait = 2 * time.Second

	// A peer to which the way has changed is asked whether it is still there
	// probeFirst after the change, then after twice as long each time up to
	// probeMost.
	probeFirst = 50 * time.Millisecond
	probeMost  = 2 * time.Second

	// probeWait bounds asking once, for which the way may have to be looked for.
	probeWait = 5 * time.Second

	// maxDatagram bounds a datagram of a multicast socket in octets.
	maxDatagram = 64 << 10

	// maxPeerID and maxPipeID bound the text of IDs; those of JXTA have some 80
	// octets.
	maxPeerID = 256
	maxPipeID = 256

	// leaveWait is how long an answer may still come after dialling was given up,
	// which is then told so.
	leaveWait = dialWait
)
