package commands

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/events"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// maxEvents is how many events wait to be shown before further ones are dropped.
const maxEvents = 1024

func monitorCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "monitor", Family: familyPeers, Summary: "tells what happens at this peer, as it happens",
		Options: []interp.Option{
			{Letter: "k", Name: "kind", Value: "KIND", Help: "only link, rendezvous, peer, group, pipe, relay or reachability; several with commas"},
			{Letter: "p", Name: "peer", Value: "PEER", Help: "only what has to do with a peer"},
			{Letter: "g", Name: "group", Value: "GROUP", Help: "only what happens in a group"},
			{Letter: "n", Name: "count", Value: "N", Help: "end after so many"},
			interp.WaitOption("how long (default: until Ctrl-C)"),
		},
		Complete: nothing,
		Details: "Links, leases, clients, roles and the view of a rendezvous are told at once; groups joined and\n" +
			"left, pipes opened and closed, peers found and lost, relays and reachability within seconds.\n" +
			"Programs read the same at the control socket. trace shows the messages behind it.\n" +
			"JSON: time, event (the kind), what (up, down, leased, joined, …), and what fits: peer_id, name, type,\n" +
			"group, group_id, role, address, encrypted, proven, last, pipe_id.",
		Examples: []interp.Example{
			{Line: "monitor -w 10s", Text: "ten seconds of it"},
			{Line: "monitor -k link,rendezvous -n 1 -w 1m", Text: "waits until the connections change, a minute at most"},
		},
		Run: func(ctx context.Context, c *interp.Call) error {
			m := monitor{h: h, c: c}
			if err := m.options(ctx); err != nil {
				return err
			}
			return m.run(ctx)
		},
	}
}

// happened is an event with its time.
type happened struct {
	events.Event
	at time.Time
}

// monitor is one run of the command.
type monitor struct {
	h *Host
	c *interp.Call

	kinds []string
	peer  id.Peer
	group id.Group
	most  int
	wait  time.Duration

	mu      sync.Mutex
	waiting []happened
	dropped int
	wake    chan struct{}
}

func (m *monitor) options(ctx context.Context) (err error) {
	for kind := range strings.SplitSeq(m.c.Value("k", ""), ",") {
		switch {
		case kind == "":
		case !slices.Contains(events.Kinds(), kind):
			return interp.Usagef("there is no kind %q", kind).Try("kinds: %s", strings.Join(events.Kinds(), ", "))
		default:
			m.kinds = append(m.kinds, kind)
		}
	}
	if name := m.c.Value("p", ""); name != "" {
		if m.peer, err = m.h.findPeer(ctx, m.c, interp.Arg{Text: name}, defaultWait); err != nil {
			return err
		}
	}
	if name := m.c.Value("g", ""); name != "" {
		g, err := m.h.findGroup(m.c, interp.Arg{Text: name})
		if err != nil {
			return err
		}
		m.group = g.ID()
	}
	if m.most, err = m.c.Int("n", 1, 0); err != nil {
		return err
	}
	m.wait, err = m.c.Duration("w", 0)
	return err
}

func (m *monitor) run(ctx context.Context) error {
	m.wake = make(chan struct{}, 1)
	stop := events.Watch(m.h.peer, m.put)
	defer stop()
	short, cancel := ctx, context.CancelFunc(func() {})
	if m.wait > 0 {
		short, cancel = context.WithTimeout(ctx, m.wait)
	}
	defer cancel()
	for shown := 0; short.Err() == nil; {
		for _, e := range m.take() {
			m.show(e)
			if shown++; shown == m.most {
				return nil
			}
		}
		m.c.Flush()
		select {
		case <-m.wake:
		case <-short.Done():
		}
	}
	return waited(ctx)
}

// put keeps an event until it can be shown.
func (m *monitor) put(e events.Event) {
	if len(m.kinds) > 0 && !slices.Contains(m.kinds, e.Kind) || !m.peer.IsZero() && e.Peer != m.peer || !m.group.IsZero() && e.GroupID != m.group {
		return
	}
	m.mu.Lock()
	if len(m.waiting) < maxEvents {
		m.waiting = append(m.waiting, happened{e, time.Now()})
	} else {
		m.dropped++
	}
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take returns the events that wait, and tells how many did not fit.
func (m *monitor) take() []happened {
	m.mu.Lock()
	all, dropped := m.waiting, m.dropped
	m.waiting, m.dropped = nil, 0
	m.mu.Unlock()
	if dropped > 0 {
		m.c.Notice("%d events came too fast to be shown", dropped)
	}
	return all
}

func (m *monitor) show(e happened) {
	name := ""
	if !e.Peer.IsZero() {
		if name = m.h.peerName(e.Peer); name == e.Peer.Short() && e.Name != "" {
			name = oneLine(e.Name) + ", " + name
		}
	}
	m.c.Line(e.at.Format(clockForm)+" "+e.Text(name),
		append([]interp.Field{{Name: "time", Value: e.at.UTC().Format(time.RFC3339Nano)}, {Name: "event", Value: e.Kind}}, e.Fields()...)...)
}

// clockForm is how commands that follow what happens write the time.
const clockForm = "15:04:05.000"
