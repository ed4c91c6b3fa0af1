package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	Child() // does not return in a process that is measured
	os.Exit(m.Run())
}

// TestMeasurements: every workload gives a figure that was counted, between processes.
func TestMeasurements(t *testing.T) {
	var out, errs bytes.Buffer
	status := Main(strings.Fields("--json --rounds 1 --duration 100ms --with tcp,juxta --only one-way,round-trip,stream,open,fan-out --sizes 64 --windows 8 --subscribers 2"), &out, &errs)
	if status != 0 {
		t.Fatalf("status %d: %s%s", status, errs.String(), out.String())
	}
	seen := map[string]bool{}
	for d := json.NewDecoder(&out); d.More(); {
		var m Measurement
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		for _, r := range m.Rounds {
			if r.Error != "" || r.Lost+r.Disorder > 0 || r.Rate == 0 && r.P50 == 0 {
				t.Errorf("%s, %s: %+v", m.Work, m.Contestant, r)
			}
		}
		seen[m.Work+m.Contestant] = true
	}
	if len(seen) != 10 {
		t.Errorf("measured: %v", seen)
	}
}

// TestArguments: mistakes are told in words.
func TestArguments(t *testing.T) {
	for args, want := range map[string]string{
		"--sizes 3": "no number from", "--only dancing": "no workload is called", "--with nobody": "no contestant is called",
		"--rounds 0": "not between", "extra": "is no option",
	} {
		var out, errs bytes.Buffer
		if status := Main(strings.Fields(args), &out, &errs); status != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: status %d, %s", args, status, errs.String())
		}
	}
}
