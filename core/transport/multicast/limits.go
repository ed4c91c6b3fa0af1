package multicast

import "time"

const (
	// defaultMaxDatagram is what is sent at most, headers included: JXSE
	// receives into 16,384 octets and cuts what is longer.
	defaultMaxDatagram = 16384

	// maxRead is the largest datagram UDP over IPv4 can carry.
	maxRead = 65507

	// timeToLive keeps datagrams in the local network, as JXSE does.
	timeToLive = 1

	// defaultSourceRate and defaultTotalRate bound the datagrams a second that
	// are looked at, from one IP address and from all. What is above is
	// dropped: each may cost a parse and an answer.
	defaultSourceRate = 200
	defaultTotalRate  = 1000

	// maxSources bounds the addresses whose rate is remembered. While it is
	// reached, datagrams of further sources are dropped.
	maxSources = 1024

	// maxInterfaces bounds the interfaces that each datagram is sent on.
	maxInterfaces = 16

	// socketBuffer is asked of the system for datagrams that wait to be read.
	socketBuffer = 512 << 10

	// rejoinInterval is how often interfaces that came or went are looked for.
	rejoinInterval = 5 * time.Second

	// readRetry is the pause after a failed read.
	readRetry = 100 * time.Millisecond

	// warnInterval is how often a flood is reported.
	warnInterval = time.Minute
)
