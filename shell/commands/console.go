package commands

import (
	"context"
	"strings"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
	"github.com/juxta-p2p/juxta/shell/console"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/netmap"
)

func consoleCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "console", Family: familyPeers, Summary: "shows the network as a live page in a browser",
		Options: []interp.Option{{Letter: "p", Name: "port", Value: "PORT", Help: "listen there (default: any that is free)"},
			{Letter: "b", Name: "background", Help: "come back at once; the page lives as long as its variable"}},
		Complete: nothing,
		Details: "It prints an address to open on this machine; nobody else can. The part behind # is the key\n" +
			"to the page: who has it sees what this peer sees. The page shows a graph, tables and events as\n" +
			"they happen, the last ten minutes in which a page was open, and the reason why a peer is out of\n" +
			"reach. While no page is open it costs nothing. Ctrl-C ends it; up --console serves it as long as\n" +
			"a peer runs. How to read it is in docs/map.md.\n" +
			"JSON: url.",
		Examples: []interp.Example{{Line: "page = console -b", Text: "beside the prompt, until unset page"}, {Line: "console -p 8080", Text: "always at the same port, until Ctrl-C"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			port, err := c.Int("p", 0, 0)
			const ports = 1 << 16
			if err != nil || port >= ports {
				return interp.Usagef("-p wants the number of a port, not %q", c.Value("p", ""))
			}
			page, err := h.Console(port)
			if err != nil {
				return interp.Because(err, "the page cannot be served")
			}
			url := interp.Field{Name: "url", Value: page.URL()}
			if c.Flag("b") {
				c.Line(page.URL(), url)
				_, err := c.Store(page)
				return err
			}
			defer page.Close()
			c.Line(page.URL(), url)
			c.Flush()
			c.Notice("open this address in a browser of this machine; Ctrl-C ends it")
			<-ctx.Done()
			return ctx.Err()
		},
	}
}

// Console serves the live page of the peer on a port of this machine, 0 for any that is free.
// The caller closes it.
func (h *Host) Console(port int) (*console.Console, error) {
	return console.Start(console.Config{
		Map: func() *netmap.Map { return netmap.Take(h.peer) },
		Why: func(ctx context.Context, p id.Peer) string { return whyText(h.peer.Why(ctx, p, h.peerName(p))) }, Port: port,
	})
}

// whyText is a report for people. It tells names of strangers, so each of its lines is made one.
func whyText(r *diagnose.Report) string {
	lines := []string{r.Why}
	if r.Advice != "" {
		lines = append(lines, r.Advice)
	}
	lines = append(lines, "")
	for _, check := range r.Checks {
		lines = append(lines, checkLine(check))
	}
	for i, l := range lines {
		lines[i] = interp.Text(l) + "\n"
	}
	return strings.Join(lines, "")
}
