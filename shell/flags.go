package shell

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
)

// options are what the command line says.
type options struct {
	peer       peergroup.Config
	quic       []string           // places to listen on with QUIC
	quicPublic []endpoint.Address // addresses of QUIC to tell others
	noQUIC     bool
	home       string // explicit
	hasHome    bool
	json       bool
	log        *slog.Level // nil: silent
	commands   string      // -c
	hasCommand bool
	script     string
	keepGoing  bool
	version    bool
	help       bool
}

const usage = `usage: juxta [OPTIONS] [SCRIPT]
       juxta [OPTIONS] yard sim|up [...]
       juxta bench [...]        measures speed; juxta bench --help tells more

Starts a peer and its shell. On a terminal it asks for commands; with -c, a
script, or input that is not a terminal it runs those and ends.

  --name NAME         how others see this peer (default: the user's name)
  --home DIR          where key and cache are kept (default: $JUXTA_HOME, or
                      juxta in the user's configuration folder)
  --listen URL        listen there, for example tcp://:9701, quic://:9701 or
                      http://:9700; may be repeated (default: tcp and quic, the
                      first free ports from 9701 on)
  --quic on|off       use QUIC (default: on)
  --client-only       do not listen at all
  --public URL        tell others this address instead; may be repeated
  --seed URL          a rendezvous to begin with, for example tcp://host:9701;
                      may be repeated
  --seed-list URI     a document that lists more of them, http, https or file;
                      may be repeated
  --relay URL         a relay to be reached through while others cannot dial this
                      peer; may be repeated (seeds that are relays are asked too)
  --role LIST         edge (default), rendezvous, relay, adhoc; with commas
  --auto-role TIME    become a rendezvous after that long without one, for example
                      5m, and an edge again when not needed (default: never)
  --net GROUPID       the network to be in (default: the public one)
  --lan on|off        look for peers near by (default: on)
  --multicast on|off  JXTA multicast (default: on)
  --map-port on|off   ask the router of this network to let others in, when this
                      peer finds itself behind address translation (default: on)
  --secure            refuse every link that is not encrypted and proven
  --claimed           take peers that go by an ID made of a key without showing it,
                      as original JXTA 2.7 peers do
  --json              results, notices and errors as JSON, one object a line
  --log LEVEL         log to standard error: debug, info, warn or error
  -c COMMANDS         run these, for example -c 'peers -r; groups -r'
  -k                  go on after a command that fails
  --version           tell the version
  --help              this text

Exit status: 0 done, 1 failed, 2 usage, 3 nothing found or answered, 4 not
authorised, 5 the peer could not start, 124 timed out, 130 interrupted.
`

// parseFlags reads the command line. The error is one line.
func parseFlags(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("juxta", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringVar(&o.peer.Name, "name", "", "")
	f.Func("home", "", func(s string) error { o.home, o.hasHome = s, true; return notEmpty(s) })
	f.Func("listen", "", o.listen)
	f.Func("seed", "", func(s string) error { o.peer.Seeds = append(o.peer.Seeds, s); return notEmpty(s) })
	f.Func("seed-list", "", func(s string) error { o.peer.SeedLists = append(o.peer.SeedLists, s); return notEmpty(s) })
	f.Func("relay", "", func(s string) error { o.peer.Relays = append(o.peer.Relays, s); return notEmpty(s) })
	f.Func("public", "", o.public)
	f.Func("quic", "", func(s string) (err error) { o.noQUIC, err = off(s); return err })
	f.BoolVar(&o.peer.ClientOnly, "client-only", false, "")
	f.BoolVar(&o.peer.RequireSecure, "secure", false, "")
	f.BoolVar(&o.peer.AllowClaimed, "claimed", false, "")
	f.Func("map-port", "", func(s string) (err error) { o.peer.NoPortMapping, err = off(s); return err })
	f.DurationVar(&o.peer.AutoRendezvous, "auto-role", 0, "")
	f.Func("role", "", func(s string) (err error) {
		o.peer.Roles, err = peergroup.ParseRoles(s)
		return short(err)
	})
	f.Func("net", "", func(s string) (err error) {
		o.peer.Net, err = id.ParseGroup(s)
		return short(err)
	})
	f.Func("lan", "", func(s string) (err error) { o.peer.NoLAN, err = off(s); return err })
	f.Func("multicast", "", func(s string) (err error) { o.peer.NoMulticast, err = off(s); return err })
	f.BoolVar(&o.json, "json", false, "")
	f.Func("log", "", func(s string) error {
		var l slog.Level
		if err := l.UnmarshalText([]byte(s)); err != nil {
			return errors.New("want debug, info, warn or error")
		}
		o.log = &l
		return nil
	})
	f.Func("c", "", func(s string) error { o.commands, o.hasCommand = s, true; return nil })
	f.BoolVar(&o.keepGoing, "k", false, "")
	f.BoolVar(&o.version, "version", false, "")
	f.BoolVar(&o.help, "help", false, "")
	f.BoolVar(&o.help, "h", false, "")
	if err := f.Parse(args); err != nil {
		return o, fmt.Errorf("%s", strings.ReplaceAll(strings.TrimPrefix(err.Error(), "flag "), "flag: ", ""))
	}
	switch rest := f.Args(); {
	case len(rest) > 0 && rest[0] == "yard" && !o.hasCommand:
		o.commands, o.hasCommand = script(rest), true
		o.peer = alone(o.peer)
		o.hasHome, o.noQUIC = true, true
	case len(rest) > 1:
		return o, fmt.Errorf("one script at most, not %q", rest[1])
	case len(rest) == 1 && o.hasCommand:
		return o, errors.New("-c and a script exclude each other")
	case len(rest) == 1:
		o.script = rest[0]
	}
	return o, nil
}

// listen takes a place to listen on.
func (o *options) listen(s string) error {
	if at, ok := strings.CutPrefix(s, "quic://"); ok {
		o.quic = append(o.quic, strings.TrimSuffix(at, "/"))
		return notEmpty(at)
	}
	o.peer.Listen = append(o.peer.Listen, s)
	return notEmpty(s)
}

// public takes an address to tell others.
func (o *options) public(s string) error {
	if !strings.HasPrefix(s, "quic://") {
		o.peer.Public = append(o.peer.Public, s)
		return notEmpty(s)
	}
	a, err := endpoint.ParseAddress(s)
	o.quicPublic = append(o.quicPublic, a)
	return short(err)
}

// alone makes a peer keep to itself: the yard has its own, and this one only runs
// the shell. It keeps nothing and is on no network.
func alone(cfg peergroup.Config) peergroup.Config {
	return peergroup.Config{Name: cfg.Name, NoLAN: true, NoMulticast: true, ClientOnly: true}
}

// script writes words as the line that gives them to the shell.
func script(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if w == "" || strings.Contains(w, "\n") { // a backslash does not protect the end of a line
			b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(w) + `"`)
			continue
		}
		for _, r := range w { // not in quotes, for then it would be no option
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.,:/%+@", r) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

func notEmpty(s string) error {
	if s == "" {
		return errors.New("must not be empty")
	}
	return nil
}

// off reads on or off and reports whether it is off.
func off(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on":
		return false, nil
	case "off":
		return true, nil
	}
	return false, errors.New("want on or off")
}

// short takes the name of the package off an error, for people.
func short(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, p := range []string{"peergroup: ", "id: ", "home: ", "tcp: ", "endpoint: ", "identity: ", "store: "} {
		text = strings.TrimPrefix(text, p)
	}
	return errors.New(text)
}
