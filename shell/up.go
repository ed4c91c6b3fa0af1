package shell

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/juxta-p2p/juxta/shell/control"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// up serves until the program is told to end. It returns a status if it could not
// begin to.
func (p *program) up(ctx context.Context, cancel context.CancelFunc) int {
	peer, s := p.host.Peer(), p.session
	if err := p.serve(cancel, false); err != nil {
		text := short(err).Error()
		var taken *control.TakenError
		if errors.As(err, &taken) {
			text += "; " + p.own.Program + " up NAME gives this one another name"
		}
		return p.fail(interp.StatusStart, interp.CodeStart, text)
	}
	if err := p.host.Login(ctx); err != nil {
		s.Notice("talk", "nobody can talk to you: "+err.Error())
	}
	p.resume()
	if p.console {
		page, err := p.host.Console(0)
		if err != nil {
			return p.fail(interp.StatusStart, interp.CodeStart, short(err).Error())
		}
		defer page.Close()
		p.tellPage(page.URL())
	}
	if p.hasCommand {
		if status := s.Run(ctx, p.commands); s.StopOnError && status != interp.StatusOK && ctx.Err() == nil {
			return status
		}
	}
	if s.Exited() || ctx.Err() != nil {
		return interp.StatusOK
	}
	s.Notice("up", peer.Name()+" runs; "+p.own.Program+" --attach "+peer.Name()+" reaches it",
		interp.Field{Name: "name", Value: peer.Name()}, interp.Field{Name: "peer_id", Value: peer.ID().String()},
		interp.Field{Name: "socket", Value: p.running().Socket()}, interp.Field{Name: "pid", Value: os.Getpid()})
	notify("READY=1\nSTATUS=" + peer.Name() + ", " + peer.Roles().String())
	select {
	case <-ctx.Done():
	case <-peer.Done():
	}
	notify("STOPPING=1")
	return interp.StatusOK
}

// tellPage prints the address of the page as a result: it is the key to the page, too, and
// not a matter of the log.
func (p *program) tellPage(url string) {
	line := url + "\n"
	if p.json {
		line = `{"url":"` + url + `"}` + "\n" // nothing in it needs to be escaped
	}
	_, _ = io.WriteString(p.stdout, line) // who does not want it runs console
}

// notify tells the service manager, if there is one that wants to know: a datagram
// on the socket that NOTIFY_SOCKET names, as sd_notify sends it.
func notify(state string) {
	const within = time.Second
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" || name[0] != '/' && name[0] != '@' {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return // a manager that is not there waits for nothing
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(within))
	_, _ = c.Write([]byte(state))
}

// down ends a peer that runs.
func (p *program) down(ctx context.Context) int {
	name := p.argument
	if name == "" {
		name = userName()
	}
	c, err := control.Open(name)
	if err != nil {
		return p.fail(interp.StatusFailed, interp.CodeFailed, short(err).Error())
	}
	defer c.Close()
	return p.unreachable(ctx, name, c.Stop(ctx))
}

// listRunning lists the peers that run.
func (p *program) listRunning(ctx context.Context) int {
	all, err := control.Running(ctx)
	if err != nil {
		return p.fail(interp.StatusFailed, interp.CodeFailed, short(err).Error())
	}
	list := &interp.Command{Name: "running", Run: func(_ context.Context, c *interp.Call) error {
		for _, a := range all {
			c.Row(interp.Field{Name: "name", Value: a.Name}, interp.Field{Name: "pid", Value: a.PID},
				interp.Field{Name: "peer_id", Value: a.PeerID}, interp.Field{Name: "socket", Value: a.Socket})
		}
		if len(all) == 0 {
			return interp.NotFoundf("no peer of this user runs").Try("%s up NAME starts one", p.own.Program)
		}
		return nil
	}}
	s := interp.New(interp.Config{Commands: []*interp.Command{list}, Out: p.stdout, Err: p.stderr, JSON: p.json})
	s.Run(ctx, "running")
	return s.ExitStatus()
}
