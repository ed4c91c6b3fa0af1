package commands_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write what the shells print into testdata")

// TestTranscripts runs the sessions in testdata against real peers in a memory
// network, under virtual time, and compares what the shells print. Lines of a
// transcript:
//
//	// comment
//	peers rdv/rendezvous ann bob   the peers; all but the first lease at the first
//	homes ann bob                  peers with a folder of their own, if any
//	terminal                       the shells think that they print on a terminal
//	wait 2s                        time passes
//	ann> command                   typed at the shell of ann
//	ann| line                      what the command before it reads when it asks
//
// The working folder has what lies in testdata/files.
//
// All other lines are output: of the shell of the command, then, behind the
// name, of the other shells. Status other than 0 stands in brackets. IDs are
// replaced by the name of the peer, or by their kind and the order in which they
// appear, times by <time> and <clock>.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			file, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("testdata/files")); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir) // where files go
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, string(want)) })
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("%s: - wanted, + got; go test -update accepts\n%s", file, d)
			}
		})
	}
}

// shell is one session of a transcript.
type shell struct {
	peer    *peergroup.Peer
	session *interp.Session
	answers []string // to ReadLine

	mu  sync.Mutex
	out bytes.Buffer
}

func (s *shell) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

// take returns what was printed since the last call.
func (s *shell) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.out.Reset()
	return s.out.String()
}

func (s *shell) readLine(_ context.Context, prompt string) (string, error) {
	if len(s.answers) == 0 {
		return "", io.EOF
	}
	line := s.answers[0]
	s.answers = s.answers[1:]
	fmt.Fprintf(s, "%s%s\n", prompt, line)
	return line, nil
}

// player plays one transcript.
type player struct {
	t        *testing.T
	shells   map[string]*shell
	names    []string
	terminal bool
	homes    []string          // peers that have a folder of their own
	ids      map[string]string // ID to its name in the transcript
	kinds    map[id.Kind]int
}

// play runs the script in a transcript and returns the transcript with what came
// out.
func play(t *testing.T, text string) string {
	p := &player{t: t, shells: map[string]*shell{}, ids: map[string]string{}, kinds: map[id.Kind]int{}}
	command := regexp.MustCompile(`^(\w+)> (.*)$`)
	var out strings.Builder
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		verb, rest, _ := strings.Cut(line, " ")
		m := command.FindStringSubmatch(line)
		switch {
		case line == "" || strings.HasPrefix(line, "//"):
			fmt.Fprintln(&out, line)
		case line == "terminal":
			fmt.Fprintln(&out, line)
			p.terminal = true
		case verb == "homes":
			fmt.Fprintln(&out, line)
			p.homes = strings.Fields(rest)
		case verb == "peers" && len(p.shells) == 0:
			fmt.Fprintln(&out, line)
			p.start(strings.Fields(rest))
			out.WriteString(p.others(""))
		case verb == "wait":
			fmt.Fprintln(&out, line)
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
			synctest.Wait()
			out.WriteString(p.others(""))
		case m != nil && p.shells[m[1]] != nil:
			fmt.Fprintln(&out, line)
			s := p.shells[m[1]]
			for _, next := range lines[i+1:] {
				answer, ok := strings.CutPrefix(next, m[1]+"| ")
				if !ok {
					break
				}
				s.answers = append(s.answers, answer)
				fmt.Fprintln(&out, next)
			}
			status := s.session.Run(t.Context(), m[2])
			time.Sleep(settle)
			synctest.Wait()
			out.WriteString(p.tidy(s.take()))
			if status != 0 {
				fmt.Fprintf(&out, "[%d]\n", status)
			}
			out.WriteString(p.others(m[1]))
		}
	}
	return out.String()
}

// settle is how long messages may travel after a command.
const settle = 50 * time.Millisecond

// peerID is the ID of a peer of a transcript, the same in every run.
func peerID(name string) id.Peer {
	sum := sha256.Sum256([]byte(name))
	return id.PeerFromSeed(id.NetGroup, sum[:])
}

// others returns what the other shells have printed.
func (p *player) others(except string) string {
	var b strings.Builder
	for _, n := range p.names {
		if n == except {
			continue
		}
		for line := range strings.Lines(p.tidy(p.shells[n].take())) {
			b.WriteString(n + ": " + line)
		}
	}
	return b.String()
}

// start starts the peers and their shells.
func (p *player) start(specs []string) {
	t := p.t
	network := memory.New(memory.Config{Latency: time.Millisecond})
	first := ""
	for i, spec := range specs {
		name, role, _ := strings.Cut(spec, "/")
		role, own := strings.CutSuffix(role, "+key")
		roles, err := peergroup.ParseRoles(role)
		if err != nil {
			t.Fatal(err)
		}
		cfg := peergroup.Config{
			Name: name, Roles: roles, NoLAN: true, PeerID: peerID(name),
			Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name})},
			Rand:       rand.New(rand.NewPCG(uint64(i), 1)),
		}
		if slices.Contains(p.homes, name) {
			cfg.Home = t.TempDir()
		}
		if own && cfg.Home == "" { // an ID made of a key
			key, err := identity.New(identity.Ed25519)
			if err != nil {
				t.Fatal(err)
			}
			cfg.PeerID, cfg.Identity = id.Peer{}, key
		}
		if cfg.Home != "" {
			cfg.PeerID = id.Peer{}
		}
		if i == 0 {
			first = name
		} else if role != "adhoc" {
			cfg.Seeds = []string{"mem://" + first}
		}
		peer, err := peergroup.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		s := &shell{peer: peer}
		host := commands.New(peer)
		host.SetLevels(commands.NewLevels(commands.LevelOff))
		s.session = interp.New(interp.Config{
			Commands: host.Commands(), Out: s, Err: s, Describe: host.Describe, ReadLine: s.readLine, ReadSecret: s.readLine, Terminal: p.terminal,
		})
		if err := host.Attach(s.session); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			s.session.Close()
			if err := peer.Close(); err != nil {
				t.Error(err)
			}
		})
		if role != "adhoc" {
			if err := host.Login(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p.shells[name], p.names = s, append(p.names, name)
		p.ids[peer.ID().String()] = "<peer " + name + ">"
		p.ids[peer.ID().Short()] = "<" + name + ">"
	}
	time.Sleep(time.Second)
	synctest.Wait()
}

var (
	longID  = regexp.MustCompile(`urn:jxta:(uuid|cbid)-[0-9A-F]+`)
	keyID   = regexp.MustCompile(`(uuid|cbid)-[0-9A-F]{40,}`)
	shortID = regexp.MustCompile(`\b[0-9A-F]{8}\b`)
	spans   = regexp.MustCompile(`\b(\d+d)?(\d+h)?(\d+m)?(\d+(\.\d+)?(ms|µs|s)|\b\d+m)\b`)
	seconds = regexp.MustCompile(`"(uptime|trip|expires|left|renewal|age|min|median|max)":[0-9.]+`)
	acts    = regexp.MustCompile(`(?m)^[0-9a-f]{8}(:|\t)|\b[0-9a-f]{64}\b`)
	sizes   = regexp.MustCompile(`(text/xml;charset=UTF-8  )\d+ octets`) // zeros at the end of an ID are not printed
	keys    = regexp.MustCompile(`MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=`)
	counts  = regexp.MustCompile(`(?m)(^sent: +|^lost: +|"sent":|"received":|"lost":|most of all [a-z_.]+: |messages, received )\d+`)
	clocks  = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?|\b\d\d:\d\d:\d\d\.\d{3}\b`)
)

// tidy replaces IDs by names.
func (p *player) tidy(text string) string {
	if dir, err := os.Getwd(); err == nil {
		text = strings.ReplaceAll(text, dir, "<folder>")
	}
	text = longID.ReplaceAllStringFunc(text, func(urn string) string {
		if name, ok := p.ids[urn]; ok {
			return name
		}
		x, err := id.Parse(urn)
		if err != nil {
			return urn
		}
		p.kinds[x.Kind()]++
		name := fmt.Sprintf("<%s %d>", x.Kind(), p.kinds[x.Kind()])
		p.ids[urn], p.ids[x.Short()] = name, name
		return name
	})
	text = keyID.ReplaceAllStringFunc(text, func(u string) string {
		if name, ok := p.ids["urn:jxta:"+u]; ok {
			return name
		}
		return "<id>"
	})
	text = spans.ReplaceAllString(text, "<time>")
	text = seconds.ReplaceAllString(text, `"$1":<time>`)
	text = keys.ReplaceAllString(text, "<key>")
	text = acts.ReplaceAllString(text, "<act>$1")
	text = sizes.ReplaceAllString(text, "${1}<n> octets")
	text = counts.ReplaceAllString(text, "$1<n>")
	text = clocks.ReplaceAllString(text, "<clock>")
	return shortID.ReplaceAllStringFunc(text, func(s string) string {
		if name, ok := p.ids[s]; ok {
			return name
		}
		return "<short>"
	})
}

// TestEveryCommandHasAManual holds the descriptions to a minimum.
func TestEveryCommandHasAManual(t *testing.T) {
	all := commands.New(nil).Commands()
	var names []string
	for _, c := range all {
		switch {
		case c.Summary == "" || c.Family == "" || len(c.Examples) < 2 || c.Run == nil:
			t.Errorf("%s: a summary, a family and two examples are wanted", c.Name)
		case strings.HasSuffix(c.Summary, "."):
			t.Errorf("%s: the summary ends with a full stop", c.Name)
		}
		for _, n := range append([]string{c.Name}, c.Aliases...) {
			if slices.Contains(names, n) {
				t.Errorf("two commands are called %s", n)
			}
			names = append(names, n)
		}
		for _, e := range c.Examples {
			if interp.Incomplete(e.Line) || e.Text == "" {
				t.Errorf("%s: bad example %q", c.Name, e.Line)
			}
		}
	}
}
