package nat

import "time"

const (
	// maxPorts bounds the ports of one Mapper; each costs the router memory.
	maxPorts = 16

	// defaultLifetime is what RFC 6886 section 3.3 recommends.
	defaultLifetime = time.Hour

	// minLifetime and maxLifetime bound the lifetimes that are asked for.
	minLifetime = 2 * time.Minute
	maxLifetime = 24 * time.Hour

	// minRenew is the least time between two renewals of a mapping, whatever
	// lifetime the router grants.
	minRenew = 30 * time.Second

	// checkEvery is how often the router is asked for its address, which also
	// tells whether it has restarted, and how often this machine's own routes are
	// looked at.
	checkEvery = 2 * time.Minute

	// checkAgain is when it is asked again that did not answer; after maxSilences
	// times in a row it is looked for anew.
	checkAgain  = 10 * time.Second
	maxSilences = 3

	// firstPause is how long nothing is tried after a failure. It doubles up to
	// lastPause as long as failures last.
	firstPause = 30 * time.Second
	lastPause  = 30 * time.Minute

	// maxConflicts is how many outer ports are tried if the router has given them
	// to others.
	maxConflicts = 4

	// askTime bounds a question by NAT-PMP with its repetitions after 250 ms and
	// 750 ms. The router is one hop away.
	askTime = 900 * time.Millisecond

	// leaveTime bounds taking back all mappings when closing. With askTime, for
	// which the last question may still take, it makes less than 2 s.
	leaveTime = time.Second

	// searchTime bounds the search by SSDP; devices are asked to answer within 1 s.
	// graceTime is how long further answers are waited for after the first.
	searchTime = 1800 * time.Millisecond
	graceTime  = 200 * time.Millisecond

	// httpTime bounds one request to the router, with its answer.
	httpTime = 3 * time.Second

	// findTime bounds the search for a router with everything it takes.
	findTime = 10 * time.Second

	// mapTime bounds making or renewing one mapping.
	mapTime = 5 * time.Second

	// maxDatagram bounds an answer by SSDP, in octets; it fits an Ethernet frame.
	maxDatagram = 2048

	// maxDatagrams bounds what is read in one search, maxAnswers what of that is
	// looked at: anybody of the local network can send.
	maxDatagrams = 256
	maxAnswers   = 16

	// maxDevices bounds the descriptions of devices that are fetched, maxServices
	// the services of those that are tried.
	maxDevices  = 4
	maxServices = 4

	// maxBody bounds what the router says in one answer, in octets; descriptions
	// have 2 to 20 KiB. maxHeader does so for the head of the answer.
	maxBody   = 128 << 10
	maxHeader = 16 << 10

	// maxWords bounds what is shown of a text that comes from the router.
	maxWords = 120

	// maxRoutes bounds the octets read of the routing table.
	maxRoutes = 1 << 20
)
