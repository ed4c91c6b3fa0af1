package peergroup

import (
	"github.com/juxta-p2p/juxta/core/home"
	"github.com/juxta-p2p/juxta/core/identity"
)

// lockHome takes the home folder for this peer alone.
func (p *Peer) lockHome() error {
	lock, err := home.Acquire(p.cfg.Home)
	if err != nil {
		return err
	}
	p.undo = append(p.undo, lock.Close)
	return nil
}

// loadIdentity reads the key kept in the home folder, or makes one.
func (p *Peer) loadIdentity() error {
	ident, created, err := identity.LoadOrCreate(p.cfg.Home, identity.Config{Passphrase: p.cfg.Passphrase})
	if err != nil {
		return err
	}
	if created {
		p.log.Info("a key was made", "home", p.cfg.Home)
	}
	p.ident = ident
	return nil
}
