package peergroup

import (
	"slices"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/nat"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
	"github.com/juxta-p2p/juxta/protocols/direct"
)

// mapPorts asks the router of the network to let others in, once others see this
// peer at another address than its own.
func (r *reach) mapPorts() {
	if r.p.cfg.NoPortMapping || len(r.p.cfg.Transports) > 0 {
		return
	}
	translated := false
	for _, k := range r.observer.Kinds() {
		translated = translated || k == direct.Translated || k == direct.Mapped || k == direct.Symmetric
	}
	r.mu.Lock()
	had := r.mapper != nil || r.closed
	r.mu.Unlock()
	if had || !translated {
		return
	}
	var ports []nat.Port
	for _, t := range r.p.ep.Transports() {
		l, ok := t.(interface{ ListenPorts() []int })
		if !ok {
			continue
		}
		protocol := "udp"
		if t.Protocol() == tcp.Protocol {
			protocol = "tcp"
		}
		for _, n := range l.ListenPorts() {
			if p := (nat.Port{Protocol: protocol, Internal: n}); !slices.Contains(ports, p) {
				ports = append(ports, p)
			}
		}
	}
	if len(ports) == 0 {
		return
	}
	m, err := nat.New(nat.Config{Ports: ports, Changed: r.mapped, Logger: r.p.log})
	if err != nil {
		r.p.log.Debug("the router is not asked to let others in", "error", err)
		return
	}
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.mapper = m
	}
	r.mu.Unlock()
	if closed {
		_ = m.Close()
	}
}

// mapped is told of the mappings of the router.
func (r *reach) mapped(all []nat.Mapping) {
	var open []endpoint.Address
	for _, m := range all {
		if !m.Usable || !m.External.IsValid() {
			continue
		}
		protocol := "quic"
		if m.Protocol == "tcp" {
			protocol = tcp.Protocol
			if r.p.ep.Serves(tcp.Secured) {
				protocol = tcp.Secured
			}
		}
		open = append(open, endpoint.Address{Protocol: protocol, Host: m.External.String()})
	}
	r.mu.Lock()
	r.openings = open
	r.mu.Unlock()
	r.rouse()
}

// closeMapper takes the mappings back.
func (r *reach) closeMapper() error {
	r.mu.Lock()
	r.closed = true
	m := r.mapper
	r.mu.Unlock()
	if m == nil {
		return nil
	}
	return m.Close()
}

// PortMappings tells what the router of the network lets in for this peer, and how
// things stand with it. It reports false if the router was not asked.
func (p *Peer) PortMappings() ([]nat.Mapping, nat.Status, bool) {
	p.reach.mu.Lock()
	m := p.reach.mapper
	p.reach.mu.Unlock()
	if m == nil {
		return nil, nat.Status{}, false
	}
	return m.Mappings(), m.Status(), true
}
