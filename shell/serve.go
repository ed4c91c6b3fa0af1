package shell

import (
	"errors"
	"fmt"
	"os"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/control"
	"github.com/juxta-p2p/juxta/shell/events"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// socket returns the path of the control socket. A peer that has none, because it
// runs a script, gets one that no name leads to.
func (p *program) socket() (string, error) {
	p.serving.Lock()
	defer p.serving.Unlock()
	if p.server == nil {
		if err := p.listen(control.Config{Private: true}); err != nil {
			return "", err
		}
	}
	return p.server.Socket(), nil
}

// serve opens the control socket of the peer's name, or of the name and the
// process if the name is taken and spare is set.
func (p *program) serve(stop func(), spare bool) error {
	p.serving.Lock()
	defer p.serving.Unlock()
	cfg := control.Config{Name: p.host.Peer().Name(), Stop: stop}
	err := p.listen(cfg)
	var taken *control.TakenError
	if errors.As(err, &taken) && spare {
		cfg.Name, cfg.Temporary = fmt.Sprintf("%s.%d", cfg.Name, os.Getpid()), true
		err = p.listen(cfg)
	}
	return err
}

// listen opens a control socket. p.serving is held.
func (p *program) listen(cfg control.Config) error {
	peer := p.host.Peer()
	if cfg.Name == "" {
		cfg.Name = peer.Name()
	}
	cfg.Session, cfg.Log = p.newSession, p.peer.Logger
	cfg.Watch = func(emit func(control.Event)) func() { return watch(peer, emit) }
	cfg.About = func() []interp.Field {
		version, _ := commands.Version()
		return []interp.Field{{Name: "peer_name", Value: peer.Name()}, {Name: "peer_id", Value: peer.ID().String()}, {Name: "program", Value: p.own.Program},
			{Name: "version", Value: version}, {Name: "home", Value: peer.Home()}}
	}
	s, err := control.Listen(cfg)
	if err != nil {
		return err
	}
	p.server = s
	return nil
}

// notice publishes what the shell of the peer tells its user.
func (p *program) notice(command, text string, fields []interp.Field) {
	if s := p.running(); s != nil {
		s.Notice(command, text, fields)
	}
}

// running returns the server, nil if there is none.
func (p *program) running() *control.Server {
	p.serving.Lock()
	defer p.serving.Unlock()
	return p.server
}

// newSession makes a session for those who control the peer.
func (p *program) newSession(cfg interp.Config) (*interp.Session, func() string, error) {
	host := p.host.Another()
	cfg.Commands, cfg.Describe = p.own.commandsFor(host), host.Describe
	cfg.Extern, cfg.Externs = p.externs.find, p.externs.all
	s := interp.New(cfg)
	if err := host.Attach(s); err != nil {
		return nil, nil, err
	}
	return s, host.Prompt, nil
}

// watch makes events of what happens at a peer.
func watch(peer *peergroup.Peer, emit func(control.Event)) (stop func()) {
	return events.Watch(peer, func(e events.Event) { emit(control.Event{Kind: e.Kind, Fields: e.Fields()}) })
}

// drain ends what others do at the peer, before it closes.
func (p *program) drain() {
	if s := p.running(); s != nil {
		s.Drain()
	}
}

// unserve closes the control socket.
func (p *program) unserve() error {
	if s := p.running(); s != nil {
		return s.Close()
	}
	return nil
}

// background serves while the shell is used by somebody who sits there. It is an
// extra, so failing is not worth more than a line in the log.
func (p *program) background() {
	if p.noControl {
		return
	}
	if err := p.serve(nil, true); err != nil && p.peer.Logger != nil {
		p.peer.Logger.Warn("juxta: other programs cannot control this peer", "error", err)
	}
}
