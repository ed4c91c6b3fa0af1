package docs_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/terminal/terminaltest"
)

// shapes are what differs from run to run, and what stands for it when sessions
// are compared.
var shapes = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`urn:jxta:(cbid|uuid)-[0-9A-F]+`), "urn:jxta:$1-…"},
	{regexp.MustCompile(`\b[0-9A-F]{8}\b`), "XXXXXXXX"},
	{regexp.MustCompile(`tcp://[0-9.]+:[0-9]+`), "tcp://…"},
	{regexp.MustCompile(`\S+/\.config/juxta`), "….config/juxta"},
}

// shape returns a session without what differs from run to run.
func shape(session string) string {
	for _, s := range shapes {
		session = s.pattern.ReplaceAllString(session, s.instead)
	}
	return session
}

func TestShape(t *testing.T) {
	for text, want := range map[string]string{
		"listening on tcp://192.0.2.7:9701 and 1 more": "listening on tcp://… and 1 more",
		"peer0     ann   8D1644B7  no":                 "peer0     ann   XXXXXXXX  no",
		"home /home/you/.config/juxta, or":             "home ….config/juxta, or",
		"talk - bob to ann> hello":                     "talk - bob to ann> hello",
	} {
		if got := shape(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// prompted finds what is typed in a line of a session.
var prompted = regexp.MustCompile(`^JXTA[^>]*> (.+)$`)

// desk is a terminal at which somebody follows README.md.
type desk struct {
	screen *terminaltest.Session
	want   string // all that README.md shows of it so far
}

// settled waits until the screen shows what README.md shows, and a prompt.
func (d *desk) settled() {
	want := strings.TrimPrefix(shape(d.want)+"\nJXTA>", "\n")
	d.screen.Until(want, func(v *terminaltest.Screen) bool { return shape(v.Text()) == want })
}

// TestReadmeSession does what README.md shows, in the order shown, and compares
// what the terminals show.
func TestReadmeSession(t *testing.T) {
	t.Parallel()
	command, program := isolated(t), goBuild(t, "./shell/juxta")
	desks := map[string]*desk{}
	typed := 0
	for _, b := range blocks(readme(t)) {
		name, ok := strings.CutPrefix(b.info, "console ")
		if !ok {
			continue
		}
		d, last := desks[name], ""
		for line := range strings.Lines(b.text) {
			line = strings.TrimRight(line, "\n")
			if args, ok := strings.CutPrefix(line, "$ go run ./shell/juxta "); ok {
				d = &desk{screen: terminaltest.Start(t, 40, 120, command(append([]string{program}, strings.Fields(args)...)...))}
				desks[name] = d
				continue
			}
			if m := prompted.FindStringSubmatch(line); m != nil {
				d.settled()
				last = m[1]
				d.screen.Type(last + "\r")
				typed++
			}
			d.want += "\n" + line
		}
		if last != "exit" {
			d.settled()
			continue
		}
		if status := d.screen.Wait(); status != 0 || shape(d.screen.Text()) != strings.TrimPrefix(shape(d.want), "\n") {
			t.Errorf("status %d, at last\n%s", status, d.screen.Text())
		}
	}
	if len(desks) < 2 || typed < 8 {
		t.Errorf("the session has %d terminals and %d commands", len(desks), typed)
	}
}
