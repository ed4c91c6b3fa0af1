package shell

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// errUnknown is the error of a command line that begins with a word that means nothing.
var errUnknown = errors.New("there is neither a command nor a script")

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
	unknown    string // neither a command nor a script
	keepGoing  bool
	version    bool
	help       bool
	noControl  bool
	noPager    bool
	attach     string // a peer that runs, or its socket
	session    string // at that peer
	word       string // one of programWords, or empty
	argument   string // of the word
	offline    bool   // the commands need no peer
	console    bool   // up serves the page of console
}

// parseFlags reads the command line behind the peer's configuration base. known
// returns the command that a word is, or nil. The error is one line.
func parseFlags(base peergroup.Config, args []string, known func(word string) *interp.Command) (options, error) {
	o := options{peer: base}
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
	f.Func("control", "", func(s string) (err error) { o.noControl, err = off(s); return err })
	f.BoolVar(&o.noPager, "no-pager", false, "")
	f.Func("attach", "", func(s string) error { o.attach = s; return notEmpty(s) })
	f.Func("session", "", func(s string) error { o.session = s; return notEmpty(s) })
	f.BoolVar(&o.console, "console", false, "")
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
	if err := parse(f, args); err != nil {
		return o, err
	}
	rest := f.Args()
	if len(rest) > 0 && isWord(rest[0]) {
		err := o.takeWord(f, rest)
		return o, err
	}
	if o.attach != "" {
		if err := attachable(f); err != nil {
			return o, err
		}
	} else if o.console {
		return o, errNotUp
	} else if o.session != "" {
		return o, errors.New("--session is for --attach")
	}
	var command *interp.Command
	if len(rest) > 0 {
		command = known(rest[0])
	}
	switch {
	case o.attach != "" && len(rest) > 0 && !o.hasCommand && (command != nil || !isFile(rest[0])):
		o.commands, o.hasCommand = script(rest), true // that peer may know commands that this program does not
	case len(rest) > 0 && rest[0] == "yard" && !o.hasCommand:
		o.commands, o.hasCommand = script(rest), true
		o.peer = alone(o.peer)
		o.hasHome, o.noQUIC = true, true
	case command != nil && !o.hasCommand:
		o.commands, o.hasCommand = script(rest), true
		o.offline = slices.Contains([]string{"help", "man", "version"}, rest[0]) || slices.Contains(rest, "--help") && !command.Raw
	case len(rest) > 0 && !o.hasCommand && isWordlike(rest[0]) && !isFile(rest[0]):
		o.unknown = rest[0]
		return o, fmt.Errorf("%w %q", errUnknown, rest[0])
	case len(rest) > 1:
		return o, fmt.Errorf("one script at most, not %q", rest[1])
	case len(rest) == 1 && o.hasCommand:
		return o, errors.New("-c and a script exclude each other")
	case len(rest) == 1 && rest[0] != "-": // which is standard input, as without a script
		o.script = rest[0]
	}
	return o, nil
}

// parse reads options up to the first word that is none.
func parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("%s", strings.ReplaceAll(strings.Replace(strings.TrimPrefix(err.Error(), "flag "), "provided but not defined: -", "there is no option --", 1), "flag: ", ""))
	}
	return nil
}

// takeWord reads what stands behind a word of the program: one argument, and
// options before and behind it.
func (o *options) takeWord(f *flag.FlagSet, rest []string) error {
	o.word = rest[0]
	rest = rest[1:]
	for len(rest) > 0 {
		if !strings.HasPrefix(rest[0], "-") {
			if o.argument != "" {
				return fmt.Errorf("%s does not know what to do with %q", o.word, rest[0])
			}
			o.argument, rest = rest[0], rest[1:]
			continue
		}
		if err := parse(f, rest); err != nil {
			return err
		}
		rest = f.Args()
	}
	switch {
	case o.attach != "" || o.session != "":
		return fmt.Errorf("%s and --attach exclude each other", o.word)
	case o.console && o.word != "up":
		return errNotUp
	case o.word == "up" && o.argument != "":
		if o.peer.Name != "" && o.peer.Name != o.argument {
			return fmt.Errorf("the peer is called either %s or %s", o.argument, o.peer.Name)
		}
		o.peer.Name = o.argument
	case o.word == "completion" && !o.help && !slices.Contains(completionShells(), o.argument):
		return fmt.Errorf("completion wants one of %s", strings.Join(completionShells(), ", "))
	case o.word == "running" && o.argument != "":
		return fmt.Errorf("running does not know what to do with %q", o.argument)
	}
	return nil
}

// errNotUp tells who asks for the page without a peer that goes on running.
var errNotUp = errors.New("--console is for up; elsewhere the command console starts the page")

// attachable says which options are of no use when no peer is started.
func attachable(f *flag.FlagSet) (err error) {
	f.Visit(func(x *flag.Flag) {
		if !slices.Contains([]string{"attach", "session", "json", "c", "k", "help", "h", "version"}, x.Name) && err == nil {
			err = fmt.Errorf("--%s is for a peer that is started, --attach for one that runs", x.Name)
		}
	})
	return err
}

// isFile reports whether there is a file of that name.
// isWordlike reports whether a name is more like that of a command than that of a file.
func isWordlike(name string) bool {
	return name != "-" && !strings.ContainsAny(name, "/\\.")
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
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
	for _, p := range []string{"peergroup: ", "id: ", "home: ", "tcp: ", "endpoint: ", "identity: ", "store: ", "control: "} {
		text = strings.TrimPrefix(text, p)
	}
	return errors.New(text)
}
