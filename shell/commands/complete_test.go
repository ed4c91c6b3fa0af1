package commands_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/core/id"
)

// TestCompletionOfControls: the words of rdvcontrol, the peers it may be about, and
// the services that metrics knows.
func TestCompletionOfControls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &player{t: t, shells: map[string]*shell{}, ids: map[string]string{}, kinds: map[id.Kind]int{}}
		p.start([]string{"rdv/rendezvous", "ann", "bob"})
		for _, tt := range []struct {
			shell, before string
			want          []string
		}{
			{"ann", "rdvc", []string{"rdvcontrol"}},
			{"ann", "rdvcontrol ", []string{"auto", "edge", "rdv", "rpv"}},
			{"ann", "rdvcontrol edge ", []string{"addseed", "connect", "delete", "disconnect", "fail", "probe", "reseed", "start", "stop"}},
			{"ann", "rdvcontrol edge dis", []string{"disconnect"}},
			{"ann", "rdvcontrol edge disconnect r", []string{"rdv"}},
			{"rdv", "rdvcontrol edge disconnect ", []string{"ann", "bob"}},
			{"rdv", "rdvcontrol edge disconnect ann ", nil},
			{"ann", "metrics res", []string{"resolver"}},
			{"ann", "metrics -l end", []string{"endpoint"}},
		} {
			var got []string
			for _, x := range p.shells[tt.shell].session.Complete(tt.before, true) {
				got = append(got, x.Text)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s> %s: %q, want %q", tt.shell, tt.before, got, tt.want)
			}
		}
	})
}
