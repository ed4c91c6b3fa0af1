package bench

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const usage = `usage: juxta bench [OPTIONS]

Measures messages and streams between processes of this machine, over loopback: of
Juxta, and with --floor of plain connections as the limit. What arrives is counted,
and checked for its order; medians of the rounds are shown, with the least and the
most, and ratios to plain TCP of the same run.

  --only LIST       workloads: one-way, round-trip, mixed, stream, open, fan-out,
                    start (default: all)
  --with LIST       contestants (default: all; see --list)
  --sizes LIST      sizes of messages in octets (default: 64,1024,65536)
  --windows LIST    messages under way when many listen (default: 32,1024)
  --subscribers N   how many listen (default: 10)
  --duration TIME   of each measurement (default: 2s)
  --rounds N        how often each is repeated (default: 3)
  --floor           measure plain TCP and TLS too
  --json            one object a measurement, as it is done
  --list            name the contestants and end
`

// options are what the command line says.
type options struct {
	only, with     []string
	sizes, windows []int
	subscribers    int
	duration       time.Duration
	rounds         int
	floor, json    bool
	list           bool
}

// works are the workloads in the order in which they are done.
var works = []string{OneWay, RoundTrip, Mixed, Stream, Open, FanOut, Start}

// all are the contestants.
func all(more []Contestant) []Contestant { return slices.Concat(floor(), own(), more) }

// Measurement is the result of one contestant in one workload.
type Measurement struct {
	Work       string   `json:"work"`
	Contestant string   `json:"contestant"`
	Size       int      `json:"size,omitempty"`
	Window     int      `json:"window,omitempty"`
	Rounds     []Result `json:"rounds"`
	floor      bool
}

// Main runs the command with the arguments behind its name and returns the exit
// status: 0, 1 if something could not be measured or was not right, 2 for mistakes in
// the arguments. more are contestants beside those of this package; [Child] must know
// them too.
func Main(args []string, stdout, stderr io.Writer, more ...Contestant) int {
	o, err := parse(args)
	if err == flag.ErrHelp {
		_, _ = io.WriteString(stdout, usage)
		return 0
	}
	if err == nil {
		err = o.check(more)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "juxta bench: %v\n", err)
		return 2
	}
	if o.list {
		for _, c := range all(more) {
			_, _ = fmt.Fprintf(stdout, "%-16s %s\n", c.Name, c.About)
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	home, err := os.MkdirTemp("", "juxta-bench-")
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "juxta bench: %v\n", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(home) }()
	r := &run{options: o, home: home, out: stdout, err: stderr, more: more}
	return r.all(ctx)
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	only, with := f.String("only", "", ""), f.String("with", "", "")
	sizes, windows := f.String("sizes", "64,1024,65536", ""), f.String("windows", "32,1024", "")
	f.IntVar(&o.subscribers, "subscribers", 10, "")
	f.DurationVar(&o.duration, "duration", 2*time.Second, "")
	f.IntVar(&o.rounds, "rounds", 3, "")
	f.BoolVar(&o.floor, "floor", false, "")
	f.BoolVar(&o.json, "json", false, "")
	f.BoolVar(&o.list, "list", false, "")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no option", f.Arg(0))
	}
	if o.sizes, err = numbers("--sizes", *sizes, seqSize, maxSize); err != nil {
		return o, err
	}
	if o.windows, err = numbers("--windows", *windows, 1, 1<<20); err != nil {
		return o, err
	}
	o.only, o.with = list(*only), list(*with)
	return o, nil
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func numbers(name, s string, least, most int) (all []int, err error) {
	for _, text := range list(s) {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return nil, fmt.Errorf("%s: %q is no number from %d to %d", name, text, least, most)
		}
		all = append(all, n)
	}
	return all, nil
}

func (o options) check(more []Contestant) error {
	for _, w := range o.only {
		if !slices.Contains(works, w) {
			return fmt.Errorf("--only: no workload is called %q; there are %s", w, strings.Join(works, ", "))
		}
	}
	for _, name := range o.with {
		if !slices.ContainsFunc(all(more), func(c Contestant) bool { return c.Name == name }) {
			return fmt.Errorf("--with: no contestant is called %q; see --list", name)
		}
	}
	switch {
	case o.rounds < 1 || o.rounds > 1000:
		return fmt.Errorf("--rounds: %d is not between 1 and 1000", o.rounds)
	case o.duration < 10*time.Millisecond || o.duration > time.Hour:
		return fmt.Errorf("--duration: %v is not between 10ms and 1h", o.duration)
	case o.subscribers < 1 || o.subscribers > 100:
		return fmt.Errorf("--subscribers: %d is not between 1 and 100", o.subscribers)
	}
	return nil
}

// run is one run of the command.
type run struct {
	options
	home     string
	out, err io.Writer
	more     []Contestant
	bad      bool
}

// takes reports whether a contestant does a workload, and is wanted.
func (r *run) takes(c Contestant, work string) bool {
	if len(r.with) > 0 && !slices.Contains(r.with, c.Name) || len(r.with) == 0 && c.Floor && !r.floor {
		return false
	}
	if c.Measure != nil {
		return slices.Contains(c.Works, work)
	}
	switch work {
	case OneWay, RoundTrip:
		return c.Listen != nil
	case Mixed:
		return c.Listen != nil && !c.Floor
	case Stream:
		return c.ListenStream != nil
	case Open:
		return c.ListenStream != nil
	case FanOut:
		return c.Publish != nil
	}
	return c.Start != nil
}

func (r *run) all(ctx context.Context) int {
	if !r.json {
		_, _ = fmt.Fprintf(r.out, "%s/%s, %d processors, %s; %d rounds of %v\n",
			runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), r.rounds, r.duration)
	}
	for _, work := range works {
		if len(r.only) > 0 && !slices.Contains(r.only, work) {
			continue
		}
		sizes, windows := []int{0}, []int{0}
		switch work {
		case OneWay:
			sizes = r.sizes
		case RoundTrip, Mixed:
			sizes = []int{1 << 10}
		case FanOut:
			sizes, windows = []int{1 << 10}, r.windows
		}
		for _, size := range sizes {
			for _, window := range windows {
				if !r.measure(ctx, work, size, window) {
					return 1
				}
			}
		}
	}
	if r.bad {
		return 1
	}
	return 0
}

// measure measures all contestants in one workload, a round of each after the other.
// It reports whether to go on.
func (r *run) measure(ctx context.Context, work string, size, window int) bool {
	var list []*Measurement
	for _, c := range all(r.more) {
		if r.takes(c, work) {
			list = append(list, &Measurement{Work: work, Contestant: c.Name, Size: size, Window: window, floor: c.Floor})
		}
	}
	if len(list) == 0 {
		return true
	}
	for round := range r.rounds {
		for _, m := range list {
			r.progress(work, size, window, m.Contestant, round)
			i := slices.IndexFunc(all(r.more), func(c Contestant) bool { return c.Name == m.Contestant })
			c := all(r.more)[i]
			warm := c.WarmUp
			if warm == 0 {
				warm = r.duration / 5
			}
			measure := once
			if c.Measure != nil {
				measure = func(ctx context.Context, j job) (Result, error) { return c.Measure(ctx, j.Work, j.Size, r.duration) }
			}
			res, err := measure(ctx, job{
				Contestant: m.Contestant, Work: work, Size: size, Window: window, Subscribers: r.subscribers, Home: r.home,
				Seconds: r.duration.Seconds(), WarmUp: warm.Seconds(),
			})
			if ctx.Err() != nil {
				r.progress("", 0, 0, "", 0)
				return false
			}
			if err != nil {
				res.Error = err.Error()
			}
			if res.Error != "" || res.Lost > 0 || res.Disorder > 0 {
				r.bad = true
			}
			m.Rounds = append(m.Rounds, res)
		}
	}
	r.progress("", 0, 0, "", 0)
	if r.json {
		e := json.NewEncoder(r.out)
		for _, m := range list {
			_ = e.Encode(m) // whoever reads may be gone
		}
		return true
	}
	r.table(work, size, window, list)
	return true
}

// progress tells a terminal what is being done; without a workload it clears the line.
func (r *run) progress(work string, size, window int, who string, round int) {
	f, ok := r.err.(*os.File)
	if !ok {
		return
	}
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return
	}
	if work == "" {
		_, _ = fmt.Fprint(f, "\r\x1b[K")
		return
	}
	_, _ = fmt.Fprintf(f, "\r\x1b[K%s: %s, round %d of %d", title(work, size, window), who, round+1, r.rounds)
}
