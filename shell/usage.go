package shell

import (
	"fmt"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// programOption is an option of the program as usage and completion know it;
// parseFlags reads it.
type programOption struct {
	flag  string // with its dashes
	value string // what the value is; empty: a flag
	help  string
	words []string // the values there are; nil: any
	kind  valueKind
}

// valueKind says what completes the value of an option.
type valueKind uint8

const (
	anyValue  valueKind = iota
	fileValue           // a file or folder
	peerValue           // a peer that runs
)

// programOptions lists the options in the order of the usage text.
func programOptions() []programOption {
	onOff := []string{"on", "off"}
	return []programOption{
		{flag: "--name", value: "NAME", help: "how others see this peer (default: the user's name)"},
		{flag: "--home", value: "DIR", kind: fileValue, help: "where key and cache are kept (default: $JUXTA_HOME, or juxta in the user's configuration folder)"},
		{flag: "--listen", value: "URL", help: "listen there, for example tcp://:9701, quic://:9701 or http://:9700; may be repeated (default: tcp and quic, the first free ports from 9701 on)"},
		{flag: "--quic", value: "on|off", words: onOff, help: "use QUIC (default: on)"},
		{flag: "--client-only", help: "do not listen at all"},
		{flag: "--public", value: "URL", help: "tell others this address instead; may be repeated"},
		{flag: "--seed", value: "URL", help: "a rendezvous to begin with, for example tcp://host:9701; may be repeated"},
		{flag: "--seed-list", value: "URI", kind: fileValue, help: "a document that lists more of them, http, https or file; may be repeated"},
		{flag: "--relay", value: "URL", help: "a relay to be reached through while others cannot dial this peer; may be repeated (seeds that are relays are asked too)"},
		{flag: "--role", value: "LIST", words: []string{"edge", "rendezvous", "relay", "adhoc"}, help: "edge (default), rendezvous, relay, adhoc; with commas"},
		{flag: "--auto-role", value: "TIME", help: "become a rendezvous after that long without one, for example 5m, and an edge again when not needed (default: never)"},
		{flag: "--net", value: "GROUPID", help: "the network to be in (default: the public one)"},
		{flag: "--lan", value: "on|off", words: onOff, help: "look for peers near by (default: on)"},
		{flag: "--multicast", value: "on|off", words: onOff, help: "JXTA multicast (default: on)"},
		{flag: "--map-port", value: "on|off", words: onOff, help: "ask the router of this network to let others in, when this peer finds itself behind address translation (default: on)"},
		{flag: "--secure", help: "refuse every link that is not encrypted and proven"},
		{flag: "--claimed", help: "take peers that go by an ID made of a key without showing it, as original JXTA 2.7 peers do"},
		{flag: "--control", value: "on|off", words: onOff, help: "let other programs of this user control the peer of an interactive shell (default: on)"},
		{flag: "--no-pager", help: "do not show long output page by page with $PAGER (default: less, if there is one)"},
		{flag: "--console", help: "with up: serve the live page of the command console, and print its address"},
		{flag: "--attach", value: "PEER", kind: peerValue, help: "start no peer but run the commands at one that runs, by its name or socket"},
		{flag: "--session", value: "NAME", help: "with --attach: keep variables there from one run to the next"},
		{flag: "--json", help: "results, notices and errors as JSON, one object a line"},
		{flag: "--log", value: "LEVEL", words: []string{"debug", "info", "warn", "error"}, help: "log to standard error: debug, info, warn or error (default: nothing; up: info)"},
		{flag: "-c", value: "COMMANDS", help: "run these, for example -c 'peers -r; groups -r'"},
		{flag: "-k", help: "go on after a command that fails"},
		{flag: "--version", help: "tell the version"},
		{flag: "--help", help: "this text"},
	}
}

// programWord is what may stand in the place of a command on the command line
// and is none.
type programWord struct{ name, args, help string }

func programWords() []programWord {
	return []programWord{
		{"up", "[NAME] [OPTIONS]", "runs a peer until it is told to end, for a service manager"},
		{"down", "[NAME]", "ends a peer that runs"},
		{"running", "", "lists the peers of this user that run"},
		{"completion", "bash|zsh|fish", "prints a completion script"},
		{"bench", "[OPTIONS]", "measures speed; bench --help tells more"},
	}
}

// shells for which there are completion scripts.
func completionShells() []string { return []string{"bash", "zsh", "fish"} }

// isWord reports whether a word is one of programWords.
func isWord(name string) bool {
	return slices.ContainsFunc(programWords(), func(w programWord) bool { return w.name == name })
}

// usage is the text of --help.
func usage(program string, all []*interp.Command) string {
	const column, width = 22, 80
	var b strings.Builder
	fmt.Fprintf(&b, `usage: %[1]s [OPTIONS] [SCRIPT]
       %[1]s [OPTIONS] COMMAND [ARGUMENTS]
       %[1]s [OPTIONS] yard sim|up [...]
`, program)
	for _, w := range programWords() {
		fmt.Fprintf(&b, "       %s\n", strings.TrimSpace(program+" "+w.name+" "+w.args))
	}
	b.WriteString(`
Starts a peer and its shell. On a terminal it asks for commands; with a command,
-c, a script, or input that is not a terminal it runs those and ends.

`)
	for _, w := range programWords() {
		fmt.Fprintf(&b, "  %-*s%s\n", column-2, w.name, w.help)
	}
	b.WriteString("\nOptions:\n")
	for _, o := range programOptions() {
		head := strings.TrimRight("  "+o.flag+" "+o.value, " ")
		lines := wrap(o.help, width-column)
		for i, l := range lines {
			if i > 0 || len(head) >= column {
				head = strings.TrimRight(head, " ")
				if i == 0 {
					b.WriteString(head + "\n")
				}
				head = ""
			}
			fmt.Fprintf(&b, "%-*s%s\n", column, head, l)
		}
	}
	b.WriteString("\nCommands, of which " + program + " COMMAND --help tells more:\n")
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
	}
	for _, l := range wrap(strings.Join(names, " "), width-2) {
		b.WriteString("  " + l + "\n")
	}
	fmt.Fprintf(&b, `
Examples:
  %[1]s                              a peer and its shell
  %[1]s peers -r --json              who is there, for a program
  %[1]s -c 'talk bob hello'          say something
  %[1]s up ann --role rendezvous     a peer that goes on running
  %[1]s --attach ann peers -r        ask that peer
  %[1]s down ann                     end it
  source <(%[1]s completion bash)    completion with Tab

Exit status: 0 done, 1 failed, 2 usage, 3 nothing found or answered, 4 not
authorised, 5 the peer could not start, 124 timed out, 130 interrupted.
`, program)
	return b.String()
}

// wrap breaks a text at blanks into lines of at most width octets.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len(line)+1+len(w) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	return append(lines, line)
}
