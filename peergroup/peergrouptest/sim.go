package peergrouptest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/juxta-p2p/juxta/peergroup"
)

// Sim describes a simulation: so many peers live for so long, each having
// published one thing under a name of its own, and look for each other's things.
type Sim struct {
	// Peers is how many there are, rendezvous included. Zero means 100.
	Peers int `json:"peers"`

	// Rendezvous is how many of them are rendezvous. Zero means the square root
	// of Peers, rounded.
	Rendezvous int `json:"rendezvous"`

	// Churn is the share of all peers that leaves within a minute, each replaced
	// by a new one under a new name at the same moment. Half of them say goodbye,
	// half of them crash. It counts from when the network has settled.
	Churn float64 `json:"churn_per_minute"`

	// Latency and Jitter of the links, and the share of messages whose first
	// transmission is lost; see [Config].
	Latency time.Duration `json:"latency_ns"`
	Jitter  time.Duration `json:"jitter_ns"`
	Loss    float64       `json:"loss"`

	// Seed makes the simulation repeatable.
	Seed uint64 `json:"seed"`

	// For is how long the network is watched, from when it has settled. Zero
	// means 10 minutes.
	For time.Duration `json:"for_ns"`

	// Lookups is how many names are looked for, spread evenly over that time.
	// Zero means as many as peers, but not more than 1000; negative means none.
	Lookups int `json:"lookups"`

	// Exact runs everything on one processor while the simulation lasts. Chance
	// comes from the seed in any case; but goroutines of one peer that send at the
	// same moment may come in another order the next time, and with several
	// processors do so much more often.
	Exact bool `json:"exact"`

	// Configure may change what a peer is started with.
	Configure func(*peergroup.Config) `json:"-"`

	// Progress is told how it goes, a few times a second of real time, by the
	// goroutine that called Run.
	Progress func(Progress) `json:"-"`
}

// Progress tells how far a simulation is.
type Progress struct {
	Phase    string  `json:"phase"`   // start, settle, run
	Virtual  Seconds `json:"virtual"` // since the beginning
	Done     float64 `json:"done"`    // share of the phase, 0 to 1
	Peers    int     `json:"peers"`   // that run
	Leased   int     `json:"leased"`  // edges with a lease
	Lookups  int     `json:"lookups"` // that have ended
	Hits     int     `json:"hits"`
	Messages uint64  `json:"messages"`
	Wall     Seconds `json:"wall"` // real time since the beginning
}

// Seconds is a time as it stands in JSON.
type Seconds float64

func seconds(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// Duration returns the time as a duration.
func (s Seconds) Duration() time.Duration {
	return time.Duration(math.Round(float64(s) * float64(time.Second)))
}

const (
	// lookFor is how long a name is looked for.
	lookFor = 10 * time.Second

	// hangsAfter is how long a lookup may take to end after that.
	hangsAfter = 5 * time.Second

	// settleWithin is how long the network may take until each edge has a lease,
	// and viewWithin until each rendezvous knows all others; then the simulation
	// begins all the same.
	settleWithin = 10 * time.Minute
	viewWithin   = 5 * time.Minute

	// tick is how often leases are looked at.
	tick = time.Second

	// samples is into how many parts the watched time is divided for the curves.
	samples = 120
)

// complete fills in defaults.
func (s *Sim) complete() error {
	s.Peers = cmp.Or(s.Peers, 100)
	s.Rendezvous = cmp.Or(s.Rendezvous, int(math.Round(math.Sqrt(float64(s.Peers)))))
	s.For = cmp.Or(s.For, 10*time.Minute)
	switch {
	case s.Lookups == 0:
		s.Lookups = min(s.Peers, 1000)
	case s.Lookups < 0:
		s.Lookups = 0
	}
	switch {
	case s.Peers < 2, s.Rendezvous < 1, s.Rendezvous > s.Peers:
		return fmt.Errorf("peergrouptest: %d peers with %d rendezvous cannot be simulated", s.Peers, s.Rendezvous)
	case s.Churn < 0, s.Churn > maxChurn, s.Loss < 0, s.Loss > 1:
		return fmt.Errorf("peergrouptest: a churn of %v or a loss of %v cannot be simulated", s.Churn, s.Loss)
	case s.Latency < 0, s.Jitter < 0, s.For < 0:
		return fmt.Errorf("peergrouptest: negative times cannot be simulated")
	}
	return nil
}

// maxChurn is the most Churn, ten times all peers a minute.
const maxChurn = 10

// Run simulates. Inside of a testing/synctest bubble it takes as long as the
// machine needs, and two runs with the same seed have the same report but for
// Report.Machine, see Sim.Exact; outside it takes real time. ctx ends it early,
// with an error; in a bubble ctx may come from outside. Nothing is left when Run
// returns.
func Run(ctx context.Context, sim Sim) (*Report, error) {
	if err := sim.complete(); err != nil {
		return nil, err
	}
	if sim.Exact {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	r := newRun(sim)
	defer r.close()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	if err := r.settle(ctx); err != nil {
		return nil, err
	}
	if err := r.watch(ctx); err != nil {
		return nil, err
	}
	return r.report(), nil
}
