package console

import "time"

const (
	// every is how often the map is taken while somebody looks, and so how late the page may
	// be; everyHidden likewise while all pages are hidden. Nobody looks, none is taken.
	every       = 500 * time.Millisecond
	everyHidden = 5 * time.Second

	// takeShare is which part of the time taking maps may need at most: a large one is taken
	// less often.
	takeShare = 20

	// trafficEvery is how often the page gets the traffic while nothing else changes, and
	// the least over which rates are measured.
	trafficEvery = 2 * time.Second

	// kept is how far back the page can look.
	kept = 10 * time.Minute

	// maxKept bounds the octets of earlier maps; the oldest go first.
	maxKept = 4 << 20

	// maxViewers bounds the pages that are open at the same time.
	maxViewers = 16

	// maxEvents is how many events a page gets that is opened later.
	maxEvents = 200

	// whyWait is how long the page waits for the reason why a peer is out of reach, and
	// maxWhys how many are looked for at the same time.
	whyWait = 15 * time.Second
	maxWhys = 4

	// headersWithin is how long a request may take to say what it wants.
	headersWithin = 5 * time.Second

	// maxHeaders bounds the octets of what a request says about itself.
	maxHeaders = 16 << 10
)
