package yard_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/peergrouptest"
	"github.com/juxta-p2p/juxta/shell/yard"
)

func TestMain(m *testing.M) {
	yard.Child() // this program is also its own child
	goleak.VerifyTestMain(m)
}

// TestRun: the report crosses from the child, with progress and a profile.
func TestRun(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cpu.prof")
	var phases []string
	sim := peergrouptest.Sim{Peers: 30, Latency: 40 * time.Millisecond, For: 2 * time.Minute, Lookups: 20, Seed: 5}
	rep, err := yard.Run(t.Context(), sim, yard.Config{CPUProfile: profile, Progress: func(p peergrouptest.Progress) { phases = append(phases, p.Phase) }})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Sim.Peers != 30 || rep.Sim.Rendezvous != 5 || rep.Found.Asked != 20 || rep.Virtual.Duration() < sim.For || len(rep.Curve) == 0 {
		t.Errorf("%+v", rep)
	}
	if rep.Machine.Wall.Duration() >= sim.For {
		t.Errorf("%v of virtual time took %v", rep.Virtual.Duration(), rep.Machine.Wall.Duration())
	}
	if len(phases) == 0 || phases[0] != "start" {
		t.Errorf("progress %v", phases)
	}
	if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
		t.Errorf("no profile: %v", err)
	}
}

// TestRunSaysWhyNot: errors of the simulation and of its parameters come through.
func TestRunSaysWhyNot(t *testing.T) {
	for want, run := range map[string]func() error{
		"1 peers with 1 rendezvous": func() error {
			_, err := yard.Run(t.Context(), peergrouptest.Sim{Peers: 1}, yard.Config{})
			return err
		},
		"no profile": func() error {
			_, err := yard.Run(t.Context(), peergrouptest.Sim{}, yard.Config{CPUProfile: filepath.Join(t.TempDir(), "no", "folder")})
			return err
		},
		"another process": func() error {
			_, err := yard.Run(t.Context(), peergrouptest.Sim{Configure: func(*peergroup.Config) {}}, yard.Config{})
			return err
		},
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestRunEndsWithContext, soon, and leaves no process.
func TestRunEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	began := time.Now()
	sim := peergrouptest.Sim{Peers: 500, For: 1000 * time.Hour}
	_, err := yard.Run(ctx, sim, yard.Config{Progress: func(peergrouptest.Progress) { cancel(stop) }})
	if !errors.Is(err, stop) || time.Since(began) > 20*time.Second {
		t.Errorf("ended after %v with %v", time.Since(began), err)
	}
}

// TestPlot: well-formed, with the three curves, also without a sample.
func TestPlot(t *testing.T) {
	rep := &peergrouptest.Report{Sim: peergrouptest.Sim{Peers: 100, Rendezvous: 10, Churn: 0.1, For: time.Hour}}
	for range 2 {
		var b bytes.Buffer
		if err := yard.Plot(&b, rep); err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(bytes.NewReader(b.Bytes()))
		curves := map[string]string{}
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			e, ok := token.(xml.StartElement)
			if !ok || e.Name.Local != "path" {
				continue
			}
			at := map[string]string{}
			for _, a := range e.Attr {
				at[a.Name.Local] = a.Value
			}
			curves[at["class"]] = at["d"] // the last of a class is the curve, the first its key
		}
		for i, class := range []string{"views curve", "leases curve", "hits curve"} {
			d, ok := curves[class]
			want := len(rep.Curve)
			if i == 2 && want > 0 {
				want-- // one sample has no lookup
			}
			if points := strings.Count(d, "M") + strings.Count(d, "L"); !ok || points != want {
				t.Errorf("%s has %d points, want %d: %q", class, points, want, d)
			}
		}
		if !strings.Contains(b.String(), "prefers-color-scheme: dark") || !strings.Contains(b.String(), "100 peers, 10 rendezvous, 10 % come and go a minute") {
			t.Error("no colours for dark pages, or another title")
		}
		for i := range 5 {
			s := peergrouptest.Sample{At: peergrouptest.Seconds(900 * i), Known: 1, Leased: 0.5, Lookups: 10, Hits: 9}
			if i == 2 {
				s.Lookups = 0
			}
			rep.Curve = append(rep.Curve, s)
		}
	}
}

// TestUp: peers on loopback lease from each other; a stranger joins by a seed;
// nothing is left.
func TestUp(t *testing.T) {
	y, err := yard.Up(t.Context(), yard.UpConfig{Peers: 5, Rendezvous: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(y.Close(), y.Close()); err != nil {
			t.Error(err)
		}
	}()
	if len(y.Peers()) != 5 || len(y.Seeds()) != 2 || !strings.HasPrefix(y.Seeds()[0], "tls://127.0.0.1:") || y.Peers()[4].Name != "e00003" {
		t.Fatalf("%+v", y.Peers())
	}
	peer, err := peergroup.Start(t.Context(), peergroup.Config{
		Name: "guest", Seeds: y.Seeds(), NoLAN: true, NoMulticast: true, Listen: []string{"tcp://127.0.0.1:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = peer.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := peer.Net().Rendezvous().WaitConnected(ctx); err != nil {
		t.Error(err)
	}
}

// TestUpSaysWhyNot and leaves nothing behind.
func TestUpSaysWhyNot(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx context.Context
		cfg yard.UpConfig
	}{
		"too many rendezvous": {t.Context(), yard.UpConfig{Peers: 2, Rendezvous: 3}},
		"nowhere to listen":   {t.Context(), yard.UpConfig{Peers: 2, Listen: "no such host"}},
		"no program":          {t.Context(), yard.UpConfig{Peers: 2, Processes: true, Program: filepath.Join(t.TempDir(), "none")}},
		"not a shell":         {t.Context(), yard.UpConfig{Peers: 2, Processes: true, Program: "/bin/true"}},
		"too late":            {ended, yard.UpConfig{Peers: 2}},
	} {
		if _, err := yard.Up(c.ctx, c.cfg); err == nil {
			t.Errorf("%s: it starts", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}
