package yard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"sync"

	"github.com/juxta-p2p/juxta/peergroup"
)

// maxSeeds is how many rendezvous a peer is told of.
const maxSeeds = 3

// UpConfig says what network to start.
type UpConfig struct {
	// Peers is how many there are, rendezvous included. Zero means 10.
	Peers int

	// Rendezvous is how many of them are rendezvous. Zero means the square root of
	// Peers, rounded.
	Rendezvous int

	// Listen is the host name or IP address to listen on, each peer on a free port
	// of its own. Empty means 127.0.0.1.
	Listen string

	// Processes makes each peer a process of its own, with a temporary home.
	Processes bool

	// Program is what those processes run, juxta; empty means the running program.
	Program string
}

// Peer is one peer of a [Yard].
type Peer struct {
	Name string
	Role string // rendezvous or edge
	URL  string // where it listens
	PID  int    // of its process
}

// Yard is a network on TCP sockets, without multicast and mDNS. Close it.
type Yard struct {
	home string // with the homes of processes; may be empty

	mu    sync.Mutex
	peers []Peer
	stops []func() error // in order of starting
}

// Up starts a network: first the rendezvous, then the edges, each of which knows
// up to three rendezvous. It returns when all peers listen; leases come a moment
// later. ctx bounds the starting only. On an error nothing is left behind.
func Up(ctx context.Context, cfg UpConfig) (*Yard, error) {
	if cfg.Peers == 0 {
		cfg.Peers = 10
	}
	if cfg.Rendezvous == 0 {
		cfg.Rendezvous = int(math.Round(math.Sqrt(float64(cfg.Peers))))
	}
	if cfg.Peers < 1 || cfg.Rendezvous < 1 || cfg.Rendezvous > cfg.Peers {
		return nil, fmt.Errorf("yard: %d peers with %d rendezvous cannot be started", cfg.Peers, cfg.Rendezvous)
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1"
	}
	y := &Yard{}
	if err := y.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, y.Close())
	}
	return y, nil
}

func (y *Yard) start(ctx context.Context, cfg UpConfig) (err error) {
	if cfg.Processes {
		if y.home, err = os.MkdirTemp("", "juxta-yard-"); err != nil {
			return fmt.Errorf("yard: %w", err)
		}
		if cfg.Program == "" {
			if cfg.Program, err = os.Executable(); err != nil {
				return fmt.Errorf("yard: %w", err)
			}
		}
	}
	var rendezvous []string
	for i := range cfg.Peers {
		if ctx.Err() != nil {
			return fmt.Errorf("yard: %w", context.Cause(ctx))
		}
		p := Peer{Name: fmt.Sprintf("e%05d", i-cfg.Rendezvous+1), Role: "edge", PID: os.Getpid()}
		if i < cfg.Rendezvous {
			p.Name, p.Role = fmt.Sprintf("r%04d", i+1), "rendezvous"
		}
		seeds := draw(rendezvous, maxSeeds)
		var stop func() error
		if cfg.Processes {
			stop, err = y.startProcess(ctx, cfg, &p, seeds)
		} else {
			stop, err = startPeer(cfg, &p, seeds)
		}
		if err != nil {
			return fmt.Errorf("yard: %s: %w", p.Name, err)
		}
		if p.Role == "rendezvous" {
			rendezvous = append(rendezvous, p.URL)
		}
		y.mu.Lock()
		y.peers, y.stops = append(y.peers, p), append(y.stops, stop)
		y.mu.Unlock()
	}
	return nil
}

// draw returns up to n of them, by chance.
func draw(all []string, n int) []string {
	var some []string
	for _, i := range rand.Perm(len(all))[:min(n, len(all))] {
		some = append(some, all[i])
	}
	return some
}

// listenURL is where a peer listens on a free port.
func listenURL(host string) string { return "tcp://" + net.JoinHostPort(host, "0") }

// startPeer starts a peer in this process.
func startPeer(cfg UpConfig, p *Peer, seeds []string) (stop func() error, err error) {
	peer, err := peergroup.Start(context.Background(), peergroup.Config{
		Name: p.Name, Listen: []string{listenURL(cfg.Listen)}, Seeds: seeds, NoLAN: true, NoMulticast: true,
		Roles: peergroup.Roles{Rendezvous: p.Role == "rendezvous"},
	})
	if err != nil {
		return nil, err
	}
	if all := peer.Addresses(); len(all) > 0 {
		p.URL = all[0].String()
	}
	return peer.Close, nil
}

// Peers returns the peers, rendezvous first.
func (y *Yard) Peers() []Peer {
	y.mu.Lock()
	defer y.mu.Unlock()
	return append([]Peer(nil), y.peers...)
}

// Seeds returns the addresses of the rendezvous.
func (y *Yard) Seeds() []string {
	var all []string
	for _, p := range y.Peers() {
		if p.Role == "rendezvous" {
			all = append(all, p.URL)
		}
	}
	return all
}

// Close ends all peers, the edges first, and returns when nothing of them is left.
// It is idempotent.
func (y *Yard) Close() error {
	y.mu.Lock()
	stops, home, edges := y.stops, y.home, 0
	for _, p := range y.peers {
		if p.Role != "rendezvous" {
			edges++
		}
	}
	y.stops, y.home = nil, ""
	y.mu.Unlock()
	var errs []error
	first := max(len(stops)-edges, 0)
	for _, some := range [][]func() error{stops[first:], stops[:first]} {
		found := make([]error, len(some))
		var closing sync.WaitGroup
		for i, stop := range some {
			closing.Go(func() { found[i] = stop() })
		}
		closing.Wait()
		errs = append(errs, found...)
	}
	if home != "" {
		errs = append(errs, os.RemoveAll(home))
	}
	return errors.Join(errs...)
}
