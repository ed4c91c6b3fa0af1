package peergroup

import (
	"errors"
	"fmt"
	"strings"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/http"
	"github.com/juxta-p2p/juxta/core/transport/multicast"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
)

// transports makes what Config asks for, without starting anything.
func (p *Peer) transports() ([]endpoint.Transport, error) {
	if len(p.cfg.Transports) > 0 {
		return append(p.cfg.Transports, p.cfg.Extra...), nil
	}
	tc, hc := tcp.Config{ClientOnly: p.cfg.ClientOnly}, http.Config{ClientOnly: true}
	for _, s := range p.cfg.Listen {
		protocol, at, err := listenOn(s)
		if err != nil {
			return nil, fmt.Errorf("peergroup: listen %q: %w", s, err)
		}
		switch protocol {
		case tcp.Protocol:
			tc.Listen = append(tc.Listen, at)
		case http.Protocol:
			hc.Listen, hc.ClientOnly = append(hc.Listen, at), false
		default:
			return nil, fmt.Errorf("peergroup: listen %q: %w", s, endpoint.ErrNoTransport)
		}
	}
	if len(tc.Listen) == 0 && len(hc.Listen) > 0 {
		tc.ClientOnly = true
	}
	for _, s := range p.cfg.Public {
		a, err := parseURL(s)
		if err != nil {
			return nil, fmt.Errorf("peergroup: public address %q: %w", s, err)
		}
		switch a.Protocol {
		case tcp.Protocol:
			tc.Public = append(tc.Public, a)
		case http.Protocol:
			hc.Public = append(hc.Public, a)
		default:
			return nil, fmt.Errorf("peergroup: public address %q: %w", s, endpoint.ErrNoTransport)
		}
	}
	all := append([]endpoint.Transport{tcp.New(tc)}, p.cfg.Extra...)
	all = append(all, http.New(hc))
	if !p.cfg.NoMulticast {
		all = append(all, multicast.New(multicast.Config{Quiet: !p.cfg.NoLAN}))
	}
	return all, nil
}

// listenOn reads a URL to listen on, of which the host may be empty.
func listenOn(s string) (protocol, at string, err error) {
	protocol, at, ok := strings.Cut(s, "://")
	if !ok {
		protocol, at = tcp.Protocol, s
	}
	at = strings.TrimSuffix(at, "/")
	if strings.Contains(at, "/") {
		return "", "", errors.New("a path makes no sense there")
	}
	_, _, err = (endpoint.Address{Host: at}).HostPort()
	return strings.ToLower(protocol), at, err
}
