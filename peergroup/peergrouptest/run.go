package peergrouptest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// run is a simulation under way. One goroutine drives it; what others touch has
// its own lock.
type run struct {
	sim     Sim
	net     *Network
	rng     *rand.Rand
	tap     *tap
	began   time.Time
	machine machine

	all    []*member // that ever were, in order of their start
	up     []*member
	rdvs   int // how many of up are rendezvous
	ending sync.WaitGroup

	leasesAfter, viewsAfter *Seconds
	lookups                 []*lookup
	growth, curve           []Sample // until the network was settled, and from then on
	settled                 bool
	sampled                 int // lookups counted in curve

	left, crashed, started int
	shown                  time.Duration // wall time of the last progress
}

// member is a peer of a simulation.
type member struct {
	*Node
	rdv   bool
	adv   *advertisements.Pipe
	place int       // in run.up
	began time.Time // when it was started
	ended time.Time // when it was told to leave; zero: it runs

	changed atomic.Bool   // something has happened to its lease
	bare    time.Time     // since when it has no lease; zero: it has one
	longest time.Duration // it ever was without
	leased  bool          // it ever had one
}

func newRun(sim Sim) *run {
	r := &run{sim: sim, rng: chance(sim.Seed, "simulation"), began: time.Now()}
	r.machine.start()
	changes := int(sim.Churn*float64(sim.Peers)*sim.For.Minutes()) + 1
	r.tap = newTap(sim.Peers+changes, r.began)
	r.net, _ = Start(Config{ // without peers it cannot fail
		Seed: sim.Seed, Latency: sim.Latency, Jitter: sim.Jitter, LinkLoss: sim.Loss, Configure: sim.Configure, Tap: r.tap.message,
	})
	return r
}

// close leaves nothing behind.
func (r *run) close() {
	_ = r.net.Close() // which also ends lookups
	r.ending.Wait()
}

// virtual is the time since the beginning.
func (r *run) virtual() time.Duration { return time.Since(r.began) }

// start starts all peers.
func (r *run) start(ctx context.Context) error {
	for i := range r.sim.Peers {
		if i > 0 {
			time.Sleep(stagger/2 + time.Duration(r.rng.Int64N(int64(stagger))))
		}
		if i == r.sim.Rendezvous {
			r.machine.before()
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if _, err := r.add(i < r.sim.Rendezvous); err != nil {
			return err
		}
		r.progress("start", float64(i)/float64(r.sim.Peers))
	}
	return nil
}

// add starts a peer, which publishes its thing.
func (r *run) add(rdv bool) (*member, error) {
	var d *Node
	var err error
	if rdv {
		d, err = r.net.AddRendezvous()
	} else {
		d, err = r.net.AddEdge()
	}
	if err != nil {
		return nil, err
	}
	m := &member{Node: d, rdv: rdv, began: time.Now(), place: len(r.up)}
	if !rdv {
		m.bare = m.began
	} else {
		r.rdvs++
	}
	d.Net().Rendezvous().Watch(func(rendezvous.Event) { m.changed.Store(true) })
	m.changed.Store(true)
	name := thing(d.name)
	m.adv = &advertisements.Pipe{ID: id.PipeFromSeed(id.NetGroup, digest(r.sim.Seed, name)), Type: advertisements.Unicast, Name: name}
	r.all, r.up = append(r.all, m), append(r.up, m)
	if err := d.Net().Discovery().Publish(context.Background(), m.adv, discovery.Lifetime{}); err != nil {
		return nil, fmt.Errorf("peergrouptest: %s: %w", d.name, err)
	}
	return m, nil
}

// thing is the name under which a peer publishes.
func thing(peer string) string { return "thing-of-" + peer }

// remove takes a peer out, which needs some time for its goodbye.
func (r *run) remove(m *member, crash bool) {
	last := r.up[len(r.up)-1]
	r.up[m.place], last.place = last, m.place
	r.up = r.up[:len(r.up)-1]
	m.ended = time.Now()
	m.without(m.ended)
	r.tap.ended(m.Node)
	if m.rdv {
		r.rdvs--
	}
	r.left++
	if crash {
		r.crashed++
	}
	r.ending.Go(func() {
		if crash {
			_ = m.Kill()
		} else {
			_ = m.Stop()
		}
	})
}

// settle waits until each edge has a lease and each rendezvous knows the others,
// or it is not worth waiting longer.
func (r *run) settle(ctx context.Context) error {
	for began := time.Now(); ; {
		leased, share := r.leases(), r.views().Known
		now := seconds(r.virtual())
		if r.leasesAfter == nil && leased == len(r.up)-r.rdvs {
			r.leasesAfter = &now
		}
		if r.viewsAfter == nil && share == 1 {
			r.viewsAfter = &now
		}
		took := time.Since(began)
		if (r.leasesAfter != nil || took >= settleWithin) && (r.viewsAfter != nil || took >= viewWithin) {
			break
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		r.sample(r.virtual())
		r.progress("settle", min(float64(took)/float64(settleWithin), 1))
		time.Sleep(tick)
	}
	r.settled = true
	time.Sleep(rest) // what leases have set off comes to an end
	r.machine.after(len(r.up)-r.rdvs, r.rdvs)
	return nil
}

// rest is how long the network is left alone before it is measured.
const rest = 10 * time.Second

// watch is the time in which peers come, go and look for things.
func (r *run) watch(ctx context.Context) error {
	r.tap.begin()
	began := time.Now()
	end := began.Add(r.sim.For)
	changes := schedule(began, r.sim.For, int(r.sim.Churn*float64(r.sim.Peers)*r.sim.For.Minutes()), r.rng)
	looks := schedule(began, max(r.sim.For-lookFor-hangsAfter, 0), r.sim.Lookups, r.rng)
	nextTick, nextSample := began, began
	every := max((r.sim.For / samples).Round(tick), tick)
	for {
		now := time.Now()
		for len(changes) > 0 && !changes[0].After(now) {
			changes = changes[1:]
			if err := r.change(); err != nil {
				return err
			}
		}
		for len(looks) > 0 && !looks[0].After(now) {
			looks = looks[1:]
			r.look()
		}
		if !nextTick.After(now) {
			nextTick = nextTick.Add(tick)
			r.leases()
			if !nextSample.After(now) {
				nextSample = nextSample.Add(every)
				r.sample(r.virtual())
			}
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			r.progress("run", min(float64(now.Sub(began))/float64(r.sim.For), 1))
		}
		if !now.Before(end) {
			return nil
		}
		next := nextTick
		for _, times := range [][]time.Time{changes, looks} {
			if len(times) > 0 && times[0].Before(next) {
				next = times[0]
			}
		}
		time.Sleep(time.Until(next))
	}
}

// schedule spreads n moments evenly over a time, each somewhere in its part.
func schedule(began time.Time, d time.Duration, n int, rng *rand.Rand) []time.Time {
	var all []time.Time
	for i := range n {
		at := (float64(i) + rng.Float64()) / float64(n)
		all = append(all, began.Add(time.Duration(at*float64(d))))
	}
	return all
}

// change has one peer leave and another one come.
func (r *run) change() error {
	m := r.up[r.rng.IntN(len(r.up))]
	crash := r.left%2 == 0
	if m.rdv && r.rdvs == 1 {
		// The new one must know somebody.
		if _, err := r.add(true); err != nil {
			return err
		}
		r.remove(m, crash)
	} else {
		r.remove(m, crash)
		if _, err := r.add(m.rdv); err != nil {
			return err
		}
	}
	r.started++
	return nil
}

// progress tells how it goes, unless it did so a moment ago.
func (r *run) progress(phase string, done float64) {
	const often = 200 * time.Millisecond
	wall := r.machine.wall()
	if r.sim.Progress == nil || r.shown > 0 && wall-r.shown < often {
		return
	}
	r.shown = wall
	p := Progress{
		Phase: phase, Virtual: seconds(r.virtual()), Done: done, Peers: len(r.up), Messages: r.tap.messages.Load(), Wall: seconds(wall),
	}
	for _, m := range r.up {
		if !m.rdv && m.bare.IsZero() {
			p.Leased++
		}
	}
	for _, l := range r.lookups {
		switch l.state() {
		case pending:
			continue
		case hit:
			p.Hits++
		}
		p.Lookups++
	}
	r.sim.Progress(p)
}
