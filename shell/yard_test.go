package shell

import (
	"slices"
	"testing"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/lang"
)

// known knows no command.
func known(string) *interp.Command { return nil }

// TestYardOnTheCommandLine: its words are a command as with -c, whatever stands in
// them.
func TestYardOnTheCommandLine(t *testing.T) {
	for _, args := range [][]string{
		{"yard", "sim", "-n", "100", "-churn", "10%/min", "--for=1h", "-svg", "a b.svg"},
		{"yard"},
		{"yard", "=", "x=y", "it's", `"quoted"`, "$home", `back\slash`, "a;b|c", "#no", "", "two\nlines \"$x\" '\\", "ünï☃"},
	} {
		o, err := parseFlags(peergroup.Config{}, append([]string{"--listen", "tcp://127.0.0.1:1"}, args...), known)
		if err != nil || !o.hasCommand || o.script != "" || !o.peer.NoLAN || !o.peer.NoMulticast || !o.peer.ClientOnly || len(o.peer.Listen) != 0 ||
			!o.hasHome || o.home != "" {
			t.Fatalf("%q: %+v, %v", args, o, err)
		}
		s, err := lang.Parse(o.commands)
		if err != nil || len(s) != 1 || len(s[0].Pipeline) != 1 || s[0].Pipeline[0].Assign != "" {
			t.Fatalf("%q became %q: %+v, %v", args, o.commands, s, err)
		}
		var got []string
		for i, w := range s[0].Pipeline[0].Words {
			text, ok := w.Literal()
			if !ok || args[i] != "" && args[i][0] == '-' && w.Quoted {
				t.Errorf("%q: the word %d is %+v", args, i, w)
			}
			got = append(got, text)
		}
		if !slices.Equal(got, args) {
			t.Errorf("%q became %q", args, got)
		}
	}
	for _, args := range [][]string{{"a.jsh", "b.jsh"}, {"-c", "whoami", "yard"}} {
		if _, err := parseFlags(peergroup.Config{}, args, known); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	if o, err := parseFlags(peergroup.Config{}, []string{"./yard"}, known); err != nil || o.script != "./yard" {
		t.Errorf("a script of that name: %+v, %v", o, err)
	}
}
