package peergroup

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/secure"
)

// Config says how a peer shall be. The zero value works on a LAN: an edge that
// keeps nothing on disk, listens on every interface, and finds others near by.
// Start copies it.
type Config struct {
	// Name is shown to others; it need not be unique. Empty means the name of
	// this machine.
	Name string

	// Description is shown to others; it may be empty.
	Description string

	// Home is the folder with what the peer keeps: its key, which makes its
	// ID, and its cache of advertisements. It is made if need be, and one peer
	// at a time can use it. Empty means that nothing is kept and the ID is new
	// at each start.
	Home string

	// Passphrase is asked for the passphrase of the key in Home, if that is
	// encrypted; the prompt tells people which. Nil means that such a key is an error,
	// [identity.ErrEncrypted]. See [identity.ChangePassphrase].
	Passphrase func(prompt string) ([]byte, error)

	// Listen are the URLs to listen on, "tcp://host:port" or "http://host:port";
	// port 0 lets the system choose. TCP serves plain JXTA and TLS on the same
	// port. Empty means TCP on every interface, on port 9701 or the next free one
	// up to 9799.
	Listen []string

	// ClientOnly peers do not listen; Listen must be empty.
	ClientOnly bool

	// Public are the URLs to advertise instead of those listened on.
	Public []string

	// Seeds are URLs of rendezvous to begin with. "tcp://host" means port 9701,
	// "http://host" port 9700. A "tls://" URL never falls back to plain JXTA.
	Seeds []string

	// Relays are URLs of relays to ask for a lease as long as others cannot dial
	// this peer. Rendezvous of Juxta that are relays too need not be named.
	Relays []string

	// ForwardRate bounds what is passed on to others of what one neighbour sends,
	// in octets a second. Zero means 1 MiB/s, and 32 MiB/s for rendezvous and relays;
	// less than zero that there is no bound.
	ForwardRate int64

	// RequireSecure refuses every link that is not encrypted, or over which the
	// other side has not proven its ID. Original JXTA peers are then out of reach.
	RequireSecure bool

	// AllowClaimed takes peers on plain links that go by an ID made of a key
	// without showing the key, as JXSE 2.7 peers do; see [endpoint.Config].
	AllowClaimed bool

	// JavaTLS says how secure pipes talk to original JXTA peers, whose TLS is weak
	// and proves nothing about a peer ID; the zero value is not to. See
	// [secure.JavaConfig].
	JavaTLS secure.JavaConfig

	// Admit, if not nil, says of each new link whether it is wanted; the error
	// that refuses it names the rule. See [endpoint.Config].
	Admit func(endpoint.Link) error

	// NoPortMapping keeps the peer from asking the router of its network to let
	// others in (UPnP, NAT-PMP), which it otherwise does when it finds itself behind
	// address translation.
	NoPortMapping bool

	// SeedLists are http, https or file URIs of documents that list further seeds,
	// one address a line or as XML; see package seeding. They are read again every
	// half hour.
	SeedLists []string

	// AccessList is the URI of a document that says which peers may be rendezvous
	// of the network; see package seeding. Empty lets everybody. As long as it was
	// never read, nobody may.
	AccessList string

	// Roles are what the peer does for others; zero means nothing, an edge.
	Roles Roles

	// AutoRendezvous makes the peer a rendezvous of the network when it has been
	// without one for that long, give or take a half, and an edge again when as
	// one it is not needed. Zero leaves the role as Roles says, until
	// [Group.SetRole].
	AutoRendezvous time.Duration

	// MaxClients bounds the leases that this peer grants in each group as a
	// rendezvous. Zero means [rendezvous.DefaultMaxClients].
	MaxClients int

	// Net is the network to be in; zero means the public one, id.NetGroup.
	// Peers of different networks do not see each other.
	Net id.Group

	// NoLAN switches off the search for peers near by: mDNS, and the meeting
	// place of the peers of one machine.
	NoLAN bool

	// NoMulticast switches JXTA multicast off, by which original JXTA peers
	// find each other on a LAN. Anybody there can read it, so this peer says
	// nothing by it before it has heard an original one, unless NoLAN is set.
	NoMulticast bool

	// MeetingDir is the folder where the peers of one machine meet; empty
	// means one per user that all programs share.
	MeetingDir string

	// Identity is the peer's key; nil means the one in Home, or a new one.
	Identity *identity.Identity

	// PeerID replaces the ID that is made of the key. It makes IDs repeatable
	// in tests and simulations; such an ID cannot be proven.
	PeerID id.Peer

	// Transports are used instead of TCP, HTTP and multicast, if there are any.
	// The peer owns them.
	Transports []endpoint.Transport

	// Extra are transports beside those, such as one of package
	// core/transport/quic. The peer owns them.
	Extra []endpoint.Transport

	// Advertisements are the types of advertisements known; nil means the
	// standard ones.
	Advertisements *advertisements.Registry

	// Modules are started in the net group, in this order.
	Modules []Module

	// Implementations are what this program provides module specifications with, in
	// the groups whose advertisements name them. The map must not be changed
	// afterwards.
	Implementations map[id.ModuleSpec]Implementation

	// Lease is the time for which a rendezvous grants leases; zero means 20
	// minutes.
	Lease time.Duration

	// Clock is the wall clock that this peer shows to others; nil is that of the
	// system. Tests of clocks that are wrong set it.
	Clock func() time.Time

	// Rand makes jitter and choices repeatable; nil draws from the system.
	Rand *rand.Rand

	// Logger is told of state changes, misbehaving peers and faults; nil is
	// silent.
	Logger *slog.Logger
}

// Roles are what a peer does for others. Several may be set.
type Roles struct {
	// Rendezvous peers grant leases to edges and spread their messages.
	Rendezvous bool
	// Relay peers pass messages to peers that cannot be dialled.
	Relay bool
	// AdHoc peers use no rendezvous and reach only their neighbourhood.
	AdHoc bool
}

// ErrRole is the cause when roles cannot be had, or not together.
var ErrRole = errors.New("these roles cannot be had")

// ParseRoles reads a comma-separated list of edge, rendezvous, relay and adhoc.
// The error wraps [ErrRole].
func ParseRoles(s string) (Roles, error) {
	var r Roles
	for _, name := range strings.Split(s, ",") {
		switch strings.TrimSpace(name) {
		case "edge", "":
		case "rendezvous", "rdv":
			r.Rendezvous = true
		case "relay":
			r.Relay = true
		case "adhoc":
			r.AdHoc = true
		default:
			return Roles{}, fmt.Errorf("peergroup: %w: %q is none of edge, rendezvous, relay, adhoc", ErrRole, name)
		}
	}
	return r, r.check()
}

func (r Roles) check() error {
	switch {
	case r.AdHoc && (r.Rendezvous || r.Relay):
		return fmt.Errorf("peergroup: %w: adhoc excludes the others", ErrRole)
	}
	return nil
}

// String returns the list that [ParseRoles] reads.
func (r Roles) String() string {
	var all []string
	if r.Rendezvous {
		all = append(all, "rendezvous")
	}
	if r.Relay {
		all = append(all, "relay")
	}
	if r.AdHoc {
		all = append(all, "adhoc")
	}
	if len(all) == 0 {
		return "edge"
	}
	return strings.Join(all, ",")
}

// complete fills in defaults and checks what can be checked before anything is
// started.
func (c *Config) complete() error {
	if c.Name == "" {
		if h, err := os.Hostname(); err == nil {
			c.Name, _, _ = strings.Cut(h, ".")
		}
	}
	if c.Name == "" {
		c.Name = "juxta"
	}
	if c.Net.IsZero() {
		c.Net = id.NetGroup
	}
	if c.Net == id.WorldGroup {
		return errors.New("peergroup: Config.Net is the World group, which is no network")
	}
	if c.ClientOnly && len(c.Listen) > 0 {
		return errors.New("peergroup: Config.ClientOnly and Config.Listen contradict each other")
	}
	if c.ForwardRate == 0 && (c.Roles.Relay || c.Roles.Rendezvous || c.AutoRendezvous > 0) {
		c.ForwardRate = servingRate
	}
	if c.MaxClients <= 0 {
		c.MaxClients = rendezvous.DefaultMaxClients
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Advertisements == nil {
		c.Advertisements = advertisements.Standard()
	}
	c.Advertisements = c.Advertisements.Clone() // modules add to it
	c.Advertisements.Add(new(Offer).DocType(), func() advertisements.Advertisement { return new(Offer) })
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if err := checkImplementations(c.Implementations); err != nil {
		return err
	}
	for _, impl := range c.Implementations {
		for name, f := range impl.Advertisements {
			c.Advertisements.Add(name, f)
		}
	}
	return c.Roles.check()
}

// Ports of URLs that name none.
const (
	seedPort = "9701"
	httpPort = "9700"
)

// parseURL reads a URL of the configuration. Without a port it means the first
// of the JXTA range.
func parseURL(s string) (endpoint.Address, error) {
	if !strings.Contains(s, "://") {
		s = "tcp://" + s
	}
	a, err := endpoint.ParseAddress(strings.TrimSuffix(s, "/"))
	if err != nil {
		return endpoint.Address{}, err
	}
	if _, _, err := a.HostPort(); err != nil {
		switch a.Protocol {
		case "tcp", "tls", "quic":
			a.Host += ":" + seedPort
		case "http":
			a.Host += ":" + httpPort
		}
	}
	return a.Base(), nil
}
