package nat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// session is the dealings with one router, from when it is found until it is gone.
// It belongs to the loop of the Mapper.
type session struct {
	gateway, local netip.Addr
	router         router
	facts          facts
	checked        time.Time // when facts were true
	next           time.Time // when to ask for them again
	silences       int
	holds          map[Port]*hold
}

// hold is what is known of the mapping of one port.
type hold struct {
	grant
	until time.Time // zero if it lasts, or there is none
	has   bool
	next  time.Time // when to renew, or to try again
	pause time.Duration
	err   error // of the last attempt
}

// live reports whether the mapping exists at t, as far as is known.
func (h *hold) live(t time.Time) bool {
	return h.has && (h.until.IsZero() || t.Before(h.until))
}

// run is the loop: it keeps the ports mapped until the Mapper is closed.
func (m *Mapper) run() {
	for {
		wait := m.step()
		timer := time.NewTimer(wait)
		select {
		case <-m.ctx.Done():
			timer.Stop()
			m.leave()
			return
		case <-m.fresh:
			timer.Stop()
			m.hurry()
		case <-timer.C:
		}
	}
}

// hurry makes everything due.
func (m *Mapper) hurry() {
	m.retry, m.pause = time.Time{}, firstPause
	if s := m.session; s != nil {
		s.next = time.Time{}
		s.renewAll()
	}
}

func (s *session) renewAll() {
	for _, h := range s.holds {
		h.next, h.pause = time.Time{}, firstPause
	}
}

// step does what is due, and returns how long there is nothing to do.
func (m *Mapper) step() time.Duration {
	gateway, local, err := m.where()
	if s := m.session; s != nil && (err != nil || s.gateway != gateway || s.local != local) {
		// That network is gone, and nothing can be taken back there.
		m.session, m.retry, m.pause = nil, time.Time{}, firstPause
	}
	if err != nil {
		m.publish(gateway, err)
		return checkEvery
	}
	if s := m.session; s != nil {
		m.check(s)
	}
	if m.session == nil && !time.Now().Before(m.retry) {
		if err = m.open(gateway, local); err != nil {
			m.retry = time.Now().Add(m.pause)
			m.pause = min(2*m.pause, lastPause)
		}
		m.publish(gateway, err)
	}
	s := m.session
	if s == nil {
		return min(max(time.Until(m.retry), 0), checkEvery)
	}
	m.renew(s)
	m.publish(gateway, nil)
	wait := min(time.Until(s.next), checkEvery)
	for _, h := range s.holds {
		wait = min(wait, time.Until(h.next))
	}
	return max(wait, 0)
}

// where tells which gateway this machine has, and by which address it is reached.
func (m *Mapper) where() (gateway, local netip.Addr, err error) {
	if gateway, err = m.cfg.Gateway(); err != nil {
		return netip.Addr{}, netip.Addr{}, err
	}
	if gateway = gateway.Unmap(); !gateway.Is4() || gateway.IsUnspecified() || gateway.IsMulticast() {
		return netip.Addr{}, netip.Addr{}, fmt.Errorf("%w: %v cannot be one", ErrNoGateway, gateway)
	}
	if local, err = m.local(gateway); err != nil {
		return gateway, netip.Addr{}, err
	}
	if Public(local) {
		return gateway, local, ErrPublic
	}
	return gateway, local, nil
}

// open finds out how to ask the gateway, and asks it for the first time. Of two ways
// the first is taken by which it maps a port.
func (m *Mapper) open(gateway, local netip.Addr) error {
	var faults []error
	for _, find := range m.find {
		ctx, cancel := context.WithTimeout(m.ctx, findTime)
		r, f, err := find(ctx, gateway, local)
		cancel()
		if err != nil {
			faults = append(faults, err)
			continue
		}
		now := time.Now()
		s := &session{gateway: gateway, local: local, router: r, facts: f, checked: now, next: now.Add(checkEvery), holds: map[Port]*hold{}}
		for _, p := range m.cfg.Ports {
			s.holds[p] = &hold{pause: firstPause}
		}
		m.renew(s)
		mapped := false
		for _, h := range s.holds {
			mapped = mapped || h.has
			if h.err != nil {
				faults = append(faults, h.err)
			}
		}
		if mapped {
			m.session, m.pause = s, firstPause
			return nil
		}
		if m.ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("%w: %w", ErrNoService, errors.Join(faults...))
}

// check asks the router how it is, when that is due. If it has restarted, or has
// another address, all mappings are due; if it is silent for long, it counts as gone.
func (m *Mapper) check(s *session) {
	if time.Now().Before(s.next) {
		return
	}
	ctx, cancel := context.WithTimeout(m.ctx, mapTime)
	defer cancel()
	f, err := s.router.facts(ctx)
	now := time.Now()
	if err != nil {
		m.log.Debug("the gateway does not answer", "gateway", s.gateway, "error", err)
		if s.silences++; s.silences >= maxSilences {
			m.session, m.retry, m.pause = nil, time.Time{}, firstPause
			return
		}
		s.next = now.Add(checkAgain)
		return
	}
	switch {
	case restarted(s.facts, f, now.Sub(s.checked)):
		m.log.Info("the gateway has restarted", "gateway", s.gateway)
		for _, h := range s.holds {
			h.has = false
		}
		s.renewAll()
	case f.external != s.facts.external:
		m.log.Info("the gateway has another address", "gateway", s.gateway, "external", f.external)
		s.renewAll()
	}
	s.facts, s.checked, s.silences, s.next = f, now, 0, now.Add(checkEvery)
}

// renew asks for the mappings that are due.
func (m *Mapper) renew(s *session) {
	for _, p := range m.cfg.Ports {
		h := s.holds[p]
		if time.Now().Before(h.next) || m.ctx.Err() != nil {
			continue
		}
		outer := p.Internal
		if h.outer != 0 { // that of before, even if it is lost
			outer = h.outer
		}
		ctx, cancel := context.WithTimeout(m.ctx, mapTime)
		g, err := s.router.add(ctx, p, outer, m.cfg.Lifetime)
		cancel()
		now := time.Now()
		h.err = err
		if err != nil {
			m.log.Debug("the gateway does not map a port", "gateway", s.gateway, "port", p, "error", err)
			h.next = now.Add(h.pause)
			h.pause = min(2*h.pause, lastPause)
			continue
		}
		h.grant, h.has, h.until, h.pause = g, true, time.Time{}, firstPause
		life := m.cfg.Lifetime
		if g.life > 0 {
			life = g.life
			h.until = now.Add(life)
		}
		h.next = now.Add(max(life/2, minRenew))
	}
}

// publish makes known how things stand now.
func (m *Mapper) publish(gateway netip.Addr, err error) {
	st := Status{Gateway: gateway, Err: err}
	var all []Mapping
	if s := m.session; s != nil {
		st.Via, st.External = s.router.via(), s.facts.external
		var faults []error
		now := time.Now()
		for _, p := range m.cfg.Ports {
			h := s.holds[p]
			if h.err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", p, h.err))
			}
			if h.live(now) {
				all = append(all, Mapping{
					Port: p, External: netip.AddrPortFrom(s.facts.external, uint16(h.outer)), Usable: Public(s.facts.external),
					Via: st.Via, Gateway: s.gateway, Until: h.until,
				})
			}
		}
		st.Err = errors.Join(faults...)
	}
	if st.Err != nil {
		st.Err = fmt.Errorf("nat: %w", st.Err)
	}
	m.mu.Lock()
	news := !same(m.mappings, all)
	m.mappings, m.status = all, st
	m.mu.Unlock()
	if !news {
		return
	}
	for _, x := range all {
		m.log.Info("a port is mapped", "port", x.Port, "external", x.External, "via", x.Via, "usable", x.Usable)
	}
	if len(all) == 0 {
		m.log.Info("no port is mapped any more", "error", st.Err)
	}
	if m.cfg.Changed != nil {
		m.cfg.Changed(append([]Mapping(nil), all...))
	}
}

// same compares mappings without their times.
func same(a, b []Mapping) bool {
	if len(a) != len(b) {
		return false
	}
	for i, x := range a {
		y := b[i]
		x.Until, y.Until = time.Time{}, time.Time{}
		if x != y {
			return false
		}
	}
	return true
}

// leave takes all mappings back.
func (m *Mapper) leave() {
	s := m.session
	m.session = nil
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), leaveTime)
	defer cancel()
	for _, p := range m.cfg.Ports {
		h := s.holds[p]
		if !h.has || ctx.Err() != nil {
			continue
		}
		if err := s.router.remove(ctx, p, h.outer); err != nil {
			m.log.Debug("a mapping could not be taken back", "gateway", s.gateway, "port", p, "error", err)
		}
	}
	m.mu.Lock()
	m.mappings = nil
	m.mu.Unlock()
}
