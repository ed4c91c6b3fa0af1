package peergrouptest

import (
	"slices"
	"time"
)

// Report is what a simulation has shown. All but Machine is the same in two runs
// with one seed.
type Report struct {
	Sim     Sim     `json:"sim"` // with defaults filled in
	Virtual Seconds `json:"virtual_s"`
	Settled Settled `json:"settled"`
	Found   Found   `json:"lookups"`
	Cost    Cost    `json:"cost"`
	Load    Load    `json:"load"`
	Leases  Leases  `json:"leases"`
	Views   Views   `json:"views"`
	Churn   Churn   `json:"churn"`

	// Messages is how many there were in all, each counted on every link it
	// crossed; Kinds tells what those of the watched time were about.
	Messages uint64            `json:"messages"`
	Kinds    map[string]uint64 `json:"kinds"`

	// Curve begins with nothing and has the growth of the network in it.
	Curve   []Sample `json:"curve"`
	Machine Machine  `json:"machine"`
}

// Settled tells how long the network took to come to rest after the first peer
// had started. Times are nil if it did not.
type Settled struct {
	Leases *Seconds `json:"leases_s"` // each edge has a lease
	Views  *Seconds `json:"views_s"`  // each rendezvous knows all others
	Began  Seconds  `json:"watched_from_s"`
}

// Found tells how lookups ended. A lookup is a hit if the thing comes from
// anybody within 10 s, with the own cache left out. It counts if the holder was
// there since 10 s before, and holder and asker stayed until its end.
type Found struct {
	Asked      int            `json:"asked"`
	Counted    int            `json:"counted"`
	Hits       int            `json:"hits"`
	HitRate    float64        `json:"hit_rate"`    // of those that count; 1 if there is none
	NotCounted map[string]int `json:"not_counted"` // by reason
	Errors     map[string]int `json:"errors"`      // why lookups that count ended before their time
	Hung       int            `json:"hung"`        // still going on 5 s after their time
	Time       Distribution   `json:"time_s"`      // until hits
}

// Cost tells what the lookups that count cost: messages that carry the ID of
// their query, to and fro, each counted on every link it crossed. Queries for
// routes, which cannot be told from each other, are all of the watched time by
// the number of lookups.
type Cost struct {
	Messages Distribution `json:"messages"`
	Octets   Distribution `json:"octets"`
	Hops     Distribution `json:"hops"` // links that the query crossed on its way to who answered
	Routes   float64      `json:"route_messages"`
}

// Load is how many messages a second a peer sends and receives, in the watched
// time. Peers that ran for less than half a minute of it are left out.
type Load struct {
	Rendezvous Distribution `json:"rendezvous"`
	Edges      Distribution `json:"edges"`
}

// Leases tells of edges, in the watched time and before.
type Leases struct {
	Share   float64 `json:"share"`     // mean of the samples
	Least   float64 `json:"least"`     // of the samples
	Longest Seconds `json:"longest_s"` // that an edge was without one, its start included
	Never   int     `json:"never"`     // edges that had none within 30 s or more of life
	Bare    int     `json:"bare"`      // edges without one at the end
}

// Views tells of rendezvous; see [Sample].
type Views struct {
	Known float64 `json:"known"` // mean of the samples
	Least float64 `json:"least"` // of the samples
	Dead  float64 `json:"dead"`  // mean of the samples
}

// Churn counts who came and went.
type Churn struct {
	Left    int `json:"left"`    // of these
	Crashed int `json:"crashed"` // without a goodbye
	Started int `json:"started"` // in their place
}

// Distribution sums up numbers. All are zero if there are none.
type Distribution struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

func distribution(all []float64) Distribution {
	if len(all) == 0 {
		return Distribution{}
	}
	slices.Sort(all)
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	at := func(p float64) float64 { return all[min(int(p*float64(len(all))), len(all)-1)] }
	return Distribution{len(all), sum / float64(len(all)), at(0.50), at(0.95), at(0.99), all[len(all)-1]}
}

// longEnough is how long a peer must run to count in means of its life.
const longEnough = 30 * time.Second

// report sums up a run that has ended; peers and lookups are still there.
func (r *run) report() *Report {
	now := time.Now()
	rep := &Report{
		Sim: r.sim, Virtual: seconds(r.virtual()), Curve: slices.Concat([]Sample{{}}, r.growth, r.curve), Messages: r.tap.messages.Load(), Kinds: map[string]uint64{},
		Settled: Settled{Leases: r.leasesAfter, Views: r.viewsAfter, Began: seconds(r.tap.since.Sub(r.began))},
		Churn:   Churn{Left: r.left, Crashed: r.crashed, Started: r.started},
	}
	for k := range kinds {
		rep.Kinds[k.String()] = r.tap.kinds[k].Load()
	}
	r.reportLookups(rep)
	r.reportPeers(rep, now)
	rep.Leases.Least, rep.Views.Least = 1, 1
	for _, s := range r.curve {
		rep.Leases.Share += s.Leased
		rep.Views.Known += s.Known
		rep.Views.Dead += s.Dead
		rep.Leases.Least, rep.Views.Least = min(rep.Leases.Least, s.Leased), min(rep.Views.Least, s.Least)
	}
	for _, mean := range []*float64{&rep.Leases.Share, &rep.Views.Known, &rep.Views.Dead} {
		*mean /= float64(max(len(r.curve), 1))
	}
	rep.Machine = r.machine.report(r.virtual(), rep.Messages)
	return rep
}

func (r *run) reportLookups(rep *Report) {
	names := map[string]string{} // of peers, by ID
	for _, m := range r.all {
		names[m.ID().String()] = m.name
	}
	f := &rep.Found
	f.Asked, f.NotCounted, f.Errors, f.HitRate = len(r.lookups), map[string]int{}, map[string]int{}, 1
	var took, messages, octets, hops []float64
	for _, l := range r.lookups {
		if l.state() == pending {
			f.Hung++
		}
		if why := l.counts(); why != "" {
			f.NotCounted[why]++
			continue
		}
		f.Counted++
		m, o := r.tap.lookups.total(l.cost)
		messages, octets = append(messages, float64(m)), append(octets, float64(o))
		if l.err != nil {
			f.Errors[l.err.Error()]++
		}
		if l.state() != hit {
			continue
		}
		f.Hits++
		took = append(took, l.took.Seconds())
		if n, ok := r.tap.lookups.hops(l.cost, names[l.from.String()]); ok {
			hops = append(hops, float64(n))
		}
	}
	if f.Counted > 0 {
		f.HitRate = float64(f.Hits) / float64(f.Counted)
	}
	f.Time = distribution(took)
	rep.Cost = Cost{Messages: distribution(messages), Octets: distribution(octets), Hops: distribution(hops)}
	if f.Asked > 0 {
		rep.Cost.Routes = float64(r.tap.kinds[routes].Load()) / float64(f.Asked)
	}
}

func (r *run) reportPeers(rep *Report, now time.Time) {
	var rdvs, edges []float64
	for _, m := range r.all {
		if rate, ran := r.tap.rate(m, now); ran >= longEnough {
			if m.rdv {
				rdvs = append(rdvs, rate)
			} else {
				edges = append(edges, rate)
			}
		}
		if m.rdv {
			continue
		}
		life := now.Sub(m.began)
		if !m.ended.IsZero() {
			life = m.ended.Sub(m.began)
		}
		longest := m.longest
		if !m.bare.IsZero() {
			longest = max(longest, now.Sub(m.bare))
			rep.Leases.Bare++
		}
		rep.Leases.Longest = max(rep.Leases.Longest, seconds(longest))
		if !m.leased && life >= longEnough {
			rep.Leases.Never++
		}
	}
	rep.Load = Load{distribution(rdvs), distribution(edges)}
}
