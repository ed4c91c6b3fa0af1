package shell

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/home"
	"github.com/juxta-p2p/juxta/core/transport/quic"
	"github.com/juxta-p2p/juxta/peergroup"
)

// maxProfiles is how many shells of one user run side by side without --home.
// Each has its own folder and so its own identity.
const maxProfiles = 64

// defaultHome is where a user's peer lives: $JUXTA_HOME, or juxta in the
// configuration folder.
func defaultHome() (string, error) {
	if dir := os.Getenv("JUXTA_HOME"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder for settings: %w", err)
	}
	return filepath.Join(dir, "juxta"), nil
}

// userName is the default name of a peer: that of the user, or of the machine if
// there is a user of that name on many machines.
func userName() string {
	if u, err := user.Current(); err == nil {
		switch name := u.Username[strings.LastIndexAny(u.Username, `\/`)+1:]; strings.ToLower(name) {
		case "", "root", "admin", "administrator", "user", "pi", "ubuntu":
		default:
			return name
		}
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		name, _, _ := strings.Cut(h, ".")
		return name
	}
	return "juxta"
}

// startPeer starts the peer of an explicit home, or of the first profile that no
// other shell uses. note says that it was not the first.
func startPeer(ctx context.Context, o *options) (peer *peergroup.Peer, note string, err error) {
	cfg := o.peer
	named := cfg.Name != ""
	if !named {
		cfg.Name = userName()
	}
	if o.hasHome {
		cfg.Home, cfg.Extra = o.home, o.overQUIC()
		peer, err = peergroup.Start(ctx, cfg)
		return peer, "", err
	}
	first, err := defaultHome()
	if err != nil {
		return nil, "", err
	}
	name := cfg.Name
	for n := 1; ; n++ {
		cfg.Home = first
		if n > 1 {
			cfg.Home = fmt.Sprintf("%s-%d", first, n)
			if !named {
				cfg.Name = fmt.Sprintf("%s-%d", name, n)
			}
		}
		cfg.Extra = o.overQUIC()
		peer, err = peergroup.Start(ctx, cfg)
		var locked *home.LockedError
		if errors.As(err, &locked) && n < maxProfiles {
			continue
		}
		if err == nil && n > 1 {
			note = fmt.Sprintf("another peer uses %s, so this one is %s in %s", inHome(first), cfg.Name, inHome(cfg.Home))
		}
		return peer, note, err
	}
}

// overQUIC makes the QUIC transport of a peer: it listens where it is told to, or
// everywhere if no place is named for any transport, and dials in any case.
func (o *options) overQUIC() []endpoint.Transport {
	if o.noQUIC {
		return nil
	}
	c := quic.Config{Listen: o.quic, Public: o.quicPublic, ClientOnly: o.peer.ClientOnly || len(o.quic) == 0 && len(o.peer.Listen) > 0}
	return []endpoint.Transport{quic.New(c)}
}

// inHome writes a folder below the user's own as people do, with "~".
func inHome(dir string) string {
	home, err := os.UserHomeDir()
	if err != nil {
		return dir
	}
	if rest, err := filepath.Rel(home, dir); err == nil && filepath.IsLocal(rest) {
		return filepath.Join("~", rest)
	}
	return dir
}

// whyNot tells in one line why the peer could not start, and what to try.
func whyNot(err error) string {
	var locked *home.LockedError
	switch {
	case errors.As(err, &locked):
		return fmt.Sprintf("%v; give it a home of its own with --home", short(err))
	case errors.Is(err, syscall.EADDRINUSE), isWindowsAddressInUse(err):
		return fmt.Sprintf("%v; choose another port with --listen", short(err))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("%v; --listen wants an address of this machine", short(err))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("no right to do this: %v", short(err))
	}
	return short(err).Error()
}

// isWindowsAddressInUse knows the error number of Windows sockets, which the
// package syscall does not map.
func isWindowsAddressInUse(err error) bool {
	const wsaeaddrinuse = syscall.Errno(10048)
	return errors.Is(err, wsaeaddrinuse)
}
