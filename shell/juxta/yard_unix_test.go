//go:build unix

package main_test

import (
	"bufio"
	"encoding/json"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestYardUp: peers as processes of their own; who knows the seed that is printed
// joins them; Ctrl-C ends all of them.
func TestYardUp(t *testing.T) {
	t.Parallel()
	cmd := program(t, append([]string{"--json"}, onLoopback("yard", "up", "-n", "3", "-rdv", "1", "--processes")...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	type peer struct {
		Name, Role, Seed string
		PID              int
	}
	var peers []peer
	for lines := bufio.NewScanner(out); len(peers) < 3 && lines.Scan(); {
		var p peer
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil || p.PID == 0 || p.Seed == "" {
			t.Errorf("%q: %v", lines.Text(), err)
		}
		peers = append(peers, p)
	}
	if len(peers) != 3 || peers[0].Role != "rendezvous" || peers[2].Role != "edge" || peers[1].PID == peers[2].PID {
		t.Fatalf("%+v", peers)
	}
	guest, _ := openEdge(t, "guest", peers[0].Seed)
	guest.until(time.Now().Add(patience), "peers -r -w 100ms", named("e00002"))
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // by a signal, so its status is no surprise
	for _, p := range peers {
		if err := syscall.Kill(p.PID, 0); err == nil {
			t.Errorf("%s still runs", p.Name)
		}
	}
}
