package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/yard"
)

func yardCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "yard", Family: familyPeers, Summary: "simulates thousands of peers, or starts some",
		Args: "sim|up", MinArgs: 1, MaxArgs: 1,
		Options: []interp.Option{
			{Letter: "n", Name: "peers", Value: "N", Help: "so many peers (default 100; up: 10)"},
			{Name: "rdv", Value: "N", Help: "so many of them are rendezvous (default: the square root of all)"},
			{Name: "for", Value: "DURATION", Help: "sim: watch them so long, of virtual time (default 10m)"},
			{Name: "churn", Value: "SHARE", Help: "sim: share that comes and goes, such as 10%/min (default 0)"},
			{Name: "latency", Value: "DURATION", Help: "sim: what a message takes one way (default 40ms)"},
			{Name: "jitter", Value: "DURATION", Help: "sim: the most that comes on top by chance (default 0)"},
			{Name: "loss", Value: "SHARE", Help: "sim: messages that are sent twice before they arrive, such as 1% (default 0)"},
			{Name: "seed", Value: "N", Help: "sim: where chance comes from (default 1)"},
			{Name: "exact", Help: "sim: on one processor, so that the seed decides everything"},
			{Name: "lookups", Value: "N", Help: "sim: so many searches (default: as many as peers, at most 1000)"},
			{Name: "svg", Value: "FILE", Help: "sim: draw how it went"},
			{Name: "profile", Value: "FILE", Help: "sim: write a CPU profile"},
			{Name: "listen", Value: "HOST", Help: "up: listen there (default 127.0.0.1)"},
			{Name: "processes", Help: "up: each peer is a process of its own"},
		},
		Details: "yard sim simulates a network of whole peers in virtual time: an hour takes minutes or\n" +
			"less. Each peer publishes one thing under a name of its own; when all edges have a lease,\n" +
			"random edges look for random names, without their own cache. A search counts if who has\n" +
			"the thing was there 10 s before, and both stayed until its end. Peers that go are replaced\n" +
			"by new ones; every second one crashes. With --exact the same seed gives the same report,\n" +
			"but for what stands under machine.\n" +
			"yard up starts such a network on TCP sockets of this machine until Ctrl-C, and prints\n" +
			"what to give as --seed to a shell that shall join. It uses neither multicast nor mDNS.\n" +
			"JSON: sim gives the whole report, one object; up gives name, role, seed, pid.",
		Examples: []interp.Example{
			{Line: "yard sim -n 1000", Text: "a calm network of a thousand"},
			{Line: "yard sim -n 10000 -rdv 100 -churn 10%/min -latency 40ms -loss 1% -seed 7 -for 1h", Text: "a rough hour of ten thousand"},
			{Line: "yard sim -n 500 -churn 5%/min -svg yard.svg --json", Text: "report as JSON, curves as a picture"},
			{Line: "yard up -n 30 -rdv 3", Text: "thirty peers on this machine, to play with"},
		},
		Run: func(ctx context.Context, c *interp.Call) error {
			switch what := c.Args[0].Text; what {
			case "sim":
				return yardSim(ctx, c)
			case "up":
				return yardUp(ctx, c)
			default:
				return interp.Usagef("yard does not know %q", what).Try("yard sim simulates, yard up starts peers")
			}
		},
		Complete: func(_ *interp.Session, n int) []interp.Suggestion {
			if n > 0 {
				return nil
			}
			return []interp.Suggestion{{Text: "sim", Description: "simulate a network"}, {Text: "up", Description: "start a network"}}
		},
	}
}

const (
	// simLatency is the latency of simulated links unless another one is asked for.
	simLatency = 40 * time.Millisecond

	// upPeers is how many peers are started unless another number is asked for.
	upPeers = 10
)

// yardOptions reads options until one is wrong.
type yardOptions struct {
	c   *interp.Call
	err error
}

func (o *yardOptions) number(name string, least, otherwise int) int {
	n, err := o.c.Int(name, least, otherwise)
	o.fail(err)
	return n
}

func (o *yardOptions) duration(name string, otherwise time.Duration) time.Duration {
	d, err := o.c.Duration(name, otherwise)
	o.fail(err)
	return d
}

// share reads 0.1 or 10%.
func (o *yardOptions) share(name, unit string) float64 {
	text := o.c.Value(name, "0")
	number, percent := strings.CutSuffix(strings.TrimSuffix(text, unit), "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0) || v > 10 {
		o.fail(interp.Usagef("-%s wants a share such as 10%%%s, not %q", name, unit, text))
		return 0
	}
	return v
}

func (o *yardOptions) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// sim reads what is to be simulated.
func (o *yardOptions) sim() peergrouptest.Sim {
	sim := peergrouptest.Sim{
		Peers: o.number("n", 2, 0), Rendezvous: o.number("rdv", 1, 0), Churn: o.share("churn", "/min"), Loss: o.share("loss", ""),
		Latency: o.duration("latency", simLatency), Jitter: o.duration("jitter", 0), For: o.duration("for", 0),
		Lookups: o.number("lookups", 0, 0), Exact: o.c.Flag("exact"),
	}
	if o.c.Flag("lookups") && sim.Lookups == 0 {
		sim.Lookups = -1 // none
	}
	seed, err := strconv.ParseUint(o.c.Value("seed", "1"), 10, 64)
	if err != nil {
		o.fail(interp.Usagef("-seed wants a number, not %q", o.c.Value("seed", "")))
	}
	sim.Seed = seed
	return sim
}

// yardSim simulates and reports.
func yardSim(ctx context.Context, c *interp.Call) error {
	o := &yardOptions{c: c}
	sim := o.sim()
	if o.err != nil {
		return o.err
	}
	bar := newBar(c)
	rep, err := yard.Run(ctx, sim, yard.Config{Progress: bar.show, CPUProfile: c.Value("profile", "")})
	bar.clear()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return interp.Because(err, "the simulation failed")
	}
	if file := c.Value("svg", ""); file != "" {
		if err := plot(file, rep); err != nil {
			return interp.Because(err, "the picture cannot be written")
		}
	}
	if c.JSON() {
		c.Emit(reportObject(rep))
	} else {
		c.Detail(reportTable(rep)...)
	}
	if rep.Found.Hung > 0 {
		return interp.Failf("%d lookups did not end", rep.Found.Hung)
	}
	return nil
}

func plot(file string, rep *peergrouptest.Report) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(yard.Plot(f, rep), f.Close())
}

// reportObject is the report as programs get it.
func reportObject(rep *peergrouptest.Report) interp.Record {
	return interp.Record{Fields: []interp.Field{
		{Name: "sim", Value: rep.Sim}, {Name: "virtual_s", Value: rep.Virtual}, {Name: "settled", Value: rep.Settled},
		{Name: "lookups", Value: rep.Found}, {Name: "cost", Value: rep.Cost}, {Name: "load", Value: rep.Load},
		{Name: "leases", Value: rep.Leases}, {Name: "views", Value: rep.Views}, {Name: "churn", Value: rep.Churn},
		{Name: "messages", Value: rep.Messages}, {Name: "kinds", Value: rep.Kinds}, {Name: "curve", Value: rep.Curve},
		{Name: "machine", Value: rep.Machine},
	}}
}

// reportTable is the report for people.
func reportTable(rep *peergrouptest.Report) []interp.Field {
	s, f, m := rep.Sim, rep.Found, rep.Machine
	after := func(t *peergrouptest.Seconds) string {
		if t == nil {
			return "never"
		}
		return "after " + t.Duration().Round(100*time.Millisecond).String()
	}
	percent := func(v float64) string { return strconv.FormatFloat(100*v, 'f', 2, 64) + " %" }
	rate := func(d peergrouptest.Distribution) string {
		return fmt.Sprintf("%.2f a second, at most %.2f", d.Mean, d.Max)
	}
	line := func(name, format string, args ...any) interp.Field {
		return interp.Field{Name: name, Value: fmt.Sprintf(format, args...)}
	}
	fields := []interp.Field{
		line("network", "%d peers, %d rendezvous, seed %d", s.Peers, s.Rendezvous, s.Seed),
		line("conditions", "%s a minute come and go, latency %v, jitter %v, loss %s", percent(s.Churn), s.Latency, s.Jitter, percent(s.Loss)),
		line("settled", "leases %s, views %s", after(rep.Settled.Leases), after(rep.Settled.Views)),
		line("watched", "%v", s.For),
		line("lookups", "%d asked, %d count, %d found: %s", f.Asked, f.Counted, f.Hits, percent(f.HitRate)),
	}
	if f.Hung > 0 {
		fields = append(fields, line("hung", "%d", f.Hung))
	}
	return append(fields,
		line("found_after", "p50 %.3f s, p95 %.3f s, p99 %.3f s", f.Time.P50, f.Time.P95, f.Time.P99),
		line("lookup_cost", "%.1f messages (p95 %.0f, at most %.0f), %.1f KiB", rep.Cost.Messages.Mean, rep.Cost.Messages.P95, rep.Cost.Messages.Max, rep.Cost.Octets.Mean/1024),
		line("hops_to_holder", "%.1f (at most %.0f)", rep.Cost.Hops.Mean, rep.Cost.Hops.Max),
		line("route_queries", "%.1f messages a lookup", rep.Cost.Routes),
		line("rendezvous_load", "%s messages", rate(rep.Load.Rendezvous)),
		line("edge_load", "%s messages", rate(rep.Load.Edges)),
		line("leases", "%s of edges, at least %s; one was without for %v", percent(rep.Leases.Share), percent(rep.Leases.Least), rep.Leases.Longest.Duration().Round(time.Second)),
		line("views", "%s known, at least %s; %.1f dead", percent(rep.Views.Known), percent(rep.Views.Least), rep.Views.Dead),
		line("churn", "%d left, %d of them crashed", rep.Churn.Left, rep.Churn.Crashed),
		line("messages", "%d", rep.Messages),
		line("machine", "%v for %v, %.0f messages a second, at most %.0f MiB", m.Wall.Duration().Round(100*time.Millisecond), rep.Virtual.Duration().Round(time.Second), m.PerSecond, float64(m.Peak)/(1<<20)),
		line("edge_at_rest", "%s", atRest(m)),
	)
}

// kib is a number of octets for people.
func kib(v float64) string { return fmt.Sprintf("%.0f KiB", v/1024) }

// atRest tells what an edge costs, if that was measured.
func atRest(m peergrouptest.Machine) string {
	if m.Heap == 0 {
		return "not measured: too few edges for so many rendezvous"
	}
	return fmt.Sprintf("%s heap, %s stack, %.1f goroutines", kib(m.Heap), kib(m.Stack), m.Goroutines)
}

// yardUp starts peers and keeps them until it is interrupted.
func yardUp(ctx context.Context, c *interp.Call) error {
	o := &yardOptions{c: c}
	cfg := yard.UpConfig{
		Peers: o.number("n", 1, upPeers), Rendezvous: o.number("rdv", 1, 0), Listen: c.Value("listen", ""), Processes: c.Flag("processes"),
	}
	if o.err != nil {
		return o.err
	}
	y, err := yard.Up(ctx, cfg)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return interp.Because(err, "the peers cannot be started")
	}
	for _, p := range y.Peers() {
		if p.Role != "rendezvous" && !c.JSON() {
			continue // nobody needs their addresses
		}
		c.Row(interp.Field{Name: "name", Value: p.Name}, interp.Field{Name: "role", Value: p.Role},
			interp.Field{Name: "seed", Value: p.URL}, interp.Field{Name: "pid", Value: p.PID})
	}
	c.Flush()
	c.Notice("%d peers run; juxta --seed %s joins them; Ctrl-C ends them", len(y.Peers()), y.Seeds()[0])
	<-ctx.Done()
	if err := y.Close(); err != nil {
		return interp.Because(err, "some peers did not end well")
	}
	return nil
}
