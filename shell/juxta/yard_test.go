package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestYardSim: a simulation from the command line, for programs and for people.
func TestYardSim(t *testing.T) {
	t.Parallel()
	picture := filepath.Join(t.TempDir(), "a b.svg")
	got := finish(t, program(t, onLoopback("yard", "sim", "-n", "40", "-rdv", "4", "-churn", "10%/min", "-latency", "40ms", "-loss", "1%",
		"-seed", "7", "-for", "1m", "--lookups", "10", "--svg", picture, "--json")...), "")
	var rep struct {
		Sim struct {
			Peers, Rendezvous int
			Churn             float64 `json:"churn_per_minute"`
			Loss              float64
			Seed              uint64
		}
		Lookups struct{ Asked int }
		Curve   []any
	}
	if err := json.Unmarshal([]byte(got.out), &rep); err != nil || got.status != 0 || !oneLine(got.out) {
		t.Fatalf("%+v, %v", got, err)
	}
	if s := rep.Sim; s.Peers != 40 || s.Rendezvous != 4 || s.Churn != 0.1 || s.Loss != 0.01 || s.Seed != 7 || rep.Lookups.Asked != 10 || len(rep.Curve) == 0 {
		t.Errorf("%+v", rep)
	}
	if b, err := os.ReadFile(picture); err != nil || !strings.HasPrefix(string(b), "<svg ") {
		t.Errorf("the picture is %.40q, %v", b, err)
	}
	got = finish(t, program(t, onLoopback("-c", "yard sim -n 20 -for 1m | grep network")...), "")
	if got.status != 0 || got.out != "network: 20 peers, 4 rendezvous, seed 1\n" {
		t.Errorf("%+v", got)
	}
}

func TestYardUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"yard"}, {"yard", "nix"}, {"yard", "sim", "-n", "1"}, {"yard", "sim", "-churn", "often"}, {"yard", "sim", "-churn", "-1%"},
		{"yard", "sim", "-loss", "NaN"}, {"yard", "sim", "-seed", "x"}, {"yard", "sim", "-for", "long"}, {"yard", "up", "-n", "0"},
	} {
		if got := finish(t, program(t, onLoopback(args...)...), ""); got.status != 2 || got.out != "" || !strings.HasPrefix(got.errors, "# yard - ") {
			t.Errorf("%q: %+v", args, got)
		}
	}
}
