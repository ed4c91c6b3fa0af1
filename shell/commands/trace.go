package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/trace"
)

// maxTraced is how many messages wait to be shown before further ones are dropped.
const maxTraced = 4096

func traceCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "trace", Family: familyPeers, Summary: "shows the messages of this peer as they happen",
		Options: []interp.Option{
			{Letter: "p", Name: "peer", Value: "PEER", Help: "only those from and to a peer"},
			{Letter: "s", Name: "service", Value: "KIND", Help: "only rendezvous, peerview, resolver, pipe, socket, router, relay, tls or other; several with commas"},
			{Letter: "d", Name: "direction", Value: "in|out", Help: "only one direction"},
			{Letter: "e", Name: "element", Value: "NAME", Help: "only those that have an element of that name"},
			{Letter: "q", Name: "quiet", Help: "without what comes again and again while nothing happens"},
			{Letter: "x", Name: "contents", Help: "with their elements, XML indented"},
			{Letter: "n", Name: "count", Value: "N", Help: "end after so many"},
			{Name: "save", Value: "FILE", Help: "keep them in a file, too"},
			{Name: "read", Value: "FILE", Help: "show those of a file instead"},
			interp.WaitOption("how long (default: until Ctrl-C)"),
		},
		Complete: nothing,
		Details: "Each line: when, who sends (<) or gets (>), the protocol, and in plain words what the message is for;\n" +
			"then who asks, if another passes it on; the group, if it is not the first one; how far it spreads,\n" +
			"if it goes to more than one peer; and whether everybody on the link could read it. What the peer cannot\n" +
			"show in time is dropped and counted. The form of files is told in trace.md.\n" +
			"JSON: time, direction, peer_id, peer, address, encrypted, octets, kind, service, param, text, spread,\n" +
			"routed, group_id, asker_id; with -x also elements: [{namespace, name, type, octets, text}].",
		Examples: []interp.Example{
			{Line: "trace -w 2s --save t.trace; trace --read t.trace -s resolver", Text: "keeps two seconds, then shows the queries among them", Status: interp.StatusOK},
			{Line: "trace -q -x -n 1 -w 5s", Text: "the next message that matters, with all that is in it", Status: interp.StatusOK},
		},
		Run: func(ctx context.Context, c *interp.Call) error {
			t := tracer{h: h, c: c}
			if err := t.options(ctx); err != nil {
				return err
			}
			if file := c.Value("read", ""); file != "" {
				return t.read(ctx, file)
			}
			return t.watch(ctx)
		},
	}
}

// tracer is one run of trace.
type tracer struct {
	h *Host
	c *interp.Call

	peer      id.Peer
	kinds     []string
	direction string
	element   string
	most      int
	wait      time.Duration

	shown int
	save  *trace.Writer
}

func (t *tracer) options(ctx context.Context) (err error) {
	c := t.c
	if name := c.Value("p", ""); name != "" {
		if t.peer, err = t.h.findPeer(ctx, c, interp.Arg{Text: name}, defaultWait); err != nil {
			return err
		}
	}
	known := []string{trace.KindRendezvous, trace.KindView, trace.KindResolver, trace.KindPipe, trace.KindSocket, trace.KindRouter, trace.KindRelay, trace.KindSecure, trace.KindOther}
	for kind := range strings.SplitSeq(c.Value("s", ""), ",") {
		switch {
		case kind == "":
		case !slices.Contains(known, kind):
			return interp.Usagef("there is no kind %q", kind).Try("kinds: %s", strings.Join(known, ", "))
		default:
			t.kinds = append(t.kinds, kind)
		}
	}
	if t.direction = c.Value("d", ""); t.direction != "" && t.direction != "in" && t.direction != "out" {
		return interp.Usagef("-d wants in or out, not %q", t.direction)
	}
	t.element = c.Value("e", "")
	if t.most, err = c.Int("n", 1, 0); err != nil {
		return err
	}
	t.wait, err = c.Duration("w", 0)
	return err
}

// watch shows messages as they happen.
func (t *tracer) watch(ctx context.Context) (err error) {
	if file := t.c.Value("save", ""); file != "" {
		f, err := os.Create(file)
		if err != nil {
			return interp.Because(err, "cannot write it")
		}
		defer func() { _ = f.Close() }() // Flush has told what went wrong
		if t.save, err = trace.NewWriter(f); err != nil {
			return interp.Because(err, "cannot write it")
		}
	}
	var dropped atomic.Uint64
	seen := make(chan endpoint.Traced, maxTraced)
	stop := t.h.peer.Endpoint().Tap(func(x endpoint.Traced) {
		select {
		case seen <- x:
		default:
			dropped.Add(1)
		}
	})
	defer stop()
	short, cancel := ctx, context.CancelFunc(func() {})
	if t.wait > 0 {
		short, cancel = context.WithTimeout(ctx, t.wait)
	}
	defer cancel()
	for done := false; !done && err == nil; {
		select {
		case x := <-seen:
			done, err = t.show(x)
			if len(seen) == 0 {
				t.c.Flush()
			}
		case <-short.Done():
			done = true
		}
	}
	stop()
	if t.save != nil && err == nil {
		if err = t.save.Flush(); err != nil {
			err = interp.Because(err, "cannot write it")
		}
	}
	if n := dropped.Load(); n > 0 {
		t.c.Notice("%d messages came too fast to be shown", n)
	}
	if err != nil {
		return err
	}
	return waited(ctx)
}

// read shows the messages of a file.
func (t *tracer) read(ctx context.Context, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return interp.Because(err, "cannot read it")
	}
	defer f.Close()
	r, err := trace.NewReader(f)
	if err != nil {
		return interp.Because(err, "cannot read %s", file)
	}
	for ctx.Err() == nil {
		x, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return interp.Because(err, "cannot read the rest of %s", file)
		}
		if done, err := t.show(x); done || err != nil {
			return err
		}
	}
	return ctx.Err()
}

// show shows a message if it is one of those asked for, and reports whether there are
// enough.
func (t *tracer) show(x endpoint.Traced) (done bool, err error) {
	if !t.peer.IsZero() && x.Peer != t.peer || t.direction == "in" && x.Out || t.direction == "out" && !x.Out {
		return false, nil
	}
	e, err := trace.Explain(x)
	if err != nil {
		e = &trace.Explained{Kind: trace.KindOther, Text: "this is no message: " + oneError(err)}
	}
	if len(t.kinds) > 0 && !slices.Contains(t.kinds, e.Kind) || t.c.Flag("q") && e.Quiet {
		return false, nil
	}
	if t.element != "" && !hasElement(e, t.element) {
		return false, nil
	}
	if t.save != nil {
		if err := t.save.Write(x); err != nil {
			return true, interp.Because(err, "cannot write it")
		}
	}
	t.c.Line(t.line(x, e), t.fields(x, e)...)
	t.shown++
	return t.shown == t.most, nil
}

func hasElement(e *trace.Explained, name string) bool {
	if e.Message == nil {
		return false
	}
	for x := range e.Message.All() {
		if x.Name == name || elementName(&x) == name {
			return true
		}
	}
	return false
}

func (t *tracer) line(x endpoint.Traced, e *trace.Explained) string {
	arrow := "<"
	if x.Out {
		arrow = ">"
	}
	who := "somebody near"
	if !x.Peer.IsZero() {
		who = t.h.peerName(x.Peer)
	}
	line := fmt.Sprintf("%s %s %s  %s: %s", x.Time.Format(clockForm), arrow, who, e.Kind, e.Text)
	var more []string
	if !e.Asker.IsZero() && (x.Out && e.Asker != t.h.peer.ID() || !x.Out && e.Asker != x.Peer) {
		more = append(more, "asked by "+t.h.peerName(e.Asker))
	}
	if !e.Group.IsZero() && e.Group != id.NetGroup {
		more = append(more, "in the group "+t.h.groupName(e.Group))
	}
	if e.Spread != "" {
		more = append(more, e.Spread)
	}
	if !x.Encrypted {
		more = append(more, "not encrypted")
	}
	more = append(more, fmt.Sprintf("%d octets", len(x.Body)))
	line += " (" + strings.Join(more, ", ") + ")"
	if t.c.Flag("x") && e.Message != nil {
		line += "\n" + strings.TrimRight(trace.Elements(e.Message), "\n")
	}
	return line
}

func (t *tracer) fields(x endpoint.Traced, e *trace.Explained) []interp.Field {
	direction, peer, name, asker, group := "in", "", "", "", ""
	if !e.Asker.IsZero() {
		asker = e.Asker.String()
	}
	if !e.Group.IsZero() {
		group = e.Group.String()
	}
	if x.Out {
		direction = "out"
	}
	if !x.Peer.IsZero() {
		peer, name = x.Peer.String(), t.h.peerName(x.Peer)
	}
	all := []interp.Field{{Name: "time", Value: x.Time.UTC().Format(time.RFC3339Nano)}, {Name: "direction", Value: direction}, {Name: "peer_id", Value: peer}, {Name: "peer", Value: name},
		{Name: "address", Value: x.Remote.Base().String()}, {Name: "encrypted", Value: x.Encrypted}, {Name: "octets", Value: len(x.Body)},
		{Name: "kind", Value: e.Kind}, {Name: "service", Value: e.Service}, {Name: "param", Value: e.Param}, {Name: "text", Value: e.Text},
		{Name: "spread", Value: e.Spread}, {Name: "routed", Value: e.Routed}, {Name: "group_id", Value: group}, {Name: "asker_id", Value: asker}}
	if t.c.Flag("x") && e.Message != nil {
		all = append(all, interp.Field{Name: "elements", Value: elementRecords(e.Message)})
	}
	return all
}
