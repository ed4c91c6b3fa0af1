package commands

import (
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// forVisitors lists what a remote shell has: commands, and which of their options. They
// look, and change nothing: not what the peer is and does, not its files, not what others hear
// from it but questions. Nor do they tell of other groups than the one in which the
// remote shell is. A command that is made later is not in it until somebody has thought about it.
func forVisitors() map[string][]string {
	list := []string{"r", "w", "n", "a", "v", "l", "q"} // not -f, which forgets, nor -p
	return map[string][]string{
		"whoami": {"g", "l"}, "version": {"v"}, "help": nil, "man": nil, // not -p, which is slow on purpose
		"peers": list, "groups": list, "search": list, "info": nil,
		"rdvstatus": {"v"}, "transports": nil, // not -l: the addresses of others are theirs
		"ping": {"n", "i", "q", "w"}, "peerinfo": {"p", "w"},
		"env": nil, "cat": {"p", "x"}, "echo": nil, "sleep": nil,
		"grep": {"i", "v", "n", "c"}, "wc": {"l", "w", "c"},
		"where": nil, "select": nil, "sort": {"r"}, "count": nil, "first": nil, "last": nil,
		"exit": nil, // of the remote session
	}
}

// visitorCommands returns those of the host's commands that visitors may use, with the options
// that they may.
func visitorCommands(all []*interp.Command) []*interp.Command {
	may := forVisitors()
	var some []*interp.Command
	for _, c := range all {
		options, ok := may[c.Name]
		if !ok {
			continue
		}
		own := *c
		own.Options = slices.DeleteFunc(slices.Clone(c.Options), func(o interp.Option) bool {
			return !slices.Contains(options, o.Letter) && !slices.Contains(options, o.Name)
		})
		if c.Name == "exit" {
			own.Summary, own.Details = "ends the remote session", "The peer goes on."
		}
		some = append(some, &own)
	}
	return some
}

// visitorWords lists the names of what visitors may use.
func visitorWords() string {
	var names []string
	for name := range forVisitors() {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
