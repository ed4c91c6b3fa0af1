package commands_test

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// exampleTime bounds every example, in virtual time.
const exampleTime = 2 * time.Minute

// exampleWorld is what examples may refer to: ann and bob are near by, ann has the
// group crew and the pipes chat and inbox, and the user has looked around, as
// manual pages take for granted.
const exampleWorld = `
ann> newpgrp -j crew
ann> chpgrp rootgroup
ann> wall = newpipe -p --publish wall
bob> talk me hello
chat = newpipe -p --publish chat
in = mkpipe -i chat
out = mkpipe -o chat
inbox = newpipe -n inbox
publish inbox
msg = mkmsg
put msg greeting 'hello'
put msg doc inbox
mydoc = importfile notes.txt
me = 'a text'
send out msg
peers -r -w 1s
groups -r -w 1s
search -r -w 1s
set ann peer0
`

// exampleFiles are what the user keeps in the working folder.
var exampleFiles = map[string]string{
	"notes.txt": "buy milk\ncall bob\n",
	"a.xml":     "<a><b>c</b></a>\n",
	"photo.jpg": "\xff\xd8\xff\xe0 not much of a picture",
	"crew.txt":  "Identity: me\n",
}

// notRun are the examples that no test here runs, and why.
var notRun = map[string]string{
	"!12": "the terminal recalls lines, not the session",
	"rdvcontrol edge connect tcp://192.0.2.1:9701": "the peers of this test have no TCP",
}

// notRunCommands likewise.
var notRunCommands = map[string]string{
	"console": "serves a page on a real port; package console has its tests",
	"yard":    "starts processes, or simulates for minutes; package yard has its tests",
}

var atPeer = regexp.MustCompile(`^(\w+)> (.*)$`)

// stage is a world in which lines are typed.
type stage struct {
	*player
	t *testing.T
}

// newStage starts hub, me, ann and bob and has the lines of a world typed.
func newStage(t *testing.T, world string) *stage {
	s := &stage{&player{t: t, homes: []string{"me", "ann"}, shells: map[string]*shell{}, ids: map[string]string{}, kinds: map[id.Kind]int{}}, t}
	s.start([]string{"hub/rendezvous+key", "me/+key", "ann/+key", "bob/+key"})
	s.lines(world)
	return s
}

// lines types lines that must succeed.
func (s *stage) lines(text string) {
	s.t.Helper()
	for line := range strings.Lines(text) {
		if answer, ok := strings.CutPrefix(line, "| "); ok {
			s.shells["me"].answers = append(s.shells["me"].answers, strings.TrimSpace(answer))
			continue
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if status, out := s.run(line, time.Minute); status != interp.StatusOK {
			s.t.Fatalf("%s: status %d\n%s", line, status, out)
		}
	}
}

// run types a line and presses Ctrl-C when the time is over.
func (s *stage) run(line string, limit time.Duration) (status int, out string) {
	name := "me"
	if m := atPeer.FindStringSubmatch(line); m != nil && s.shells[m[1]] != nil {
		name, line = m[1], m[2]
	}
	sh := s.shells[name]
	if err := sh.session.History.Add(line); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*limit)
	defer cancel()
	stop := time.AfterFunc(limit, func() { sh.session.Interrupt() })
	defer stop.Stop()
	status = sh.session.Run(ctx, line)
	if ctx.Err() != nil {
		s.t.Errorf("%s: Ctrl-C did not end it", line)
	}
	time.Sleep(settle)
	synctest.Wait()
	return status, sh.take()
}

// TestExamples types every example of every manual page. Most need nothing; those
// that do say so in Example.Before, or find it in exampleWorld.
func TestExamples(t *testing.T) {
	all := commands.New(nil).Commands()
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			if why := notRunCommands[c.Name]; why != "" {
				t.Skip(why)
			}
			exampleFolder(t)
			ran := 0
			for _, e := range c.Examples {
				if notRun[e.Line] != "" {
					continue
				}
				ran++
				t.Run(e.Line, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { playExample(t, e) }) })
			}
			if ran == 0 {
				t.Error("none of the examples is run")
			}
			if !slices.ContainsFunc(c.Examples, func(e interp.Example) bool { return mentions(all, e.Line, c) }) {
				t.Errorf("no example shows %s itself", c.Name)
			}
		})
	}
}

// exampleFolder makes the working folder of the examples.
func exampleFolder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range exampleFiles {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func playExample(t *testing.T, e interp.Example) {
	s := newStage(t, exampleWorld)
	s.lines(e.Before)
	if status, out := s.run(e.Line, exampleTime); status != e.Status {
		t.Errorf("%s: status %d, want %d\n%s", e.Line, status, e.Status, out)
	}
}

// mentions reports whether a line runs the command.
func mentions(all []*interp.Command, line string, c *interp.Command) bool {
	for _, use := range uses(all, line) {
		if use.command == c {
			return true
		}
	}
	return false
}
