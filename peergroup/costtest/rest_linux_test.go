package costtest

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestResident bounds the memory of a process that is an edge with a lease, of
// which most is the program itself, as far as it was run: the least program, and
// the shell.
func TestResident(t *testing.T) {
	if racing {
		t.Skip("the race detector takes memory of its own")
	}
	const most = 20_000_000
	for _, program := range programs {
		t.Run(program.name, func(t *testing.T) {
			h := startHub(t)
			r := start(t, program.cmd(t, t.TempDir(), h.seed))
			await(t, h.joined, 1)
			resident, own := memory(t, r.cmd.Process.Pid)
			t.Logf("%.1f MB, of which %.1f MB are not of files", float64(resident)/1e6, float64(own)/1e6)
			if resident > most {
				t.Errorf("%d octets are resident, the most is %d", resident, most)
			}
		})
	}
}

// memory returns the octets of a process that are resident, and those of them that
// are of no file.
func memory(t *testing.T, pid int) (resident, own int) {
	t.Helper()
	f, err := os.Open(filepath.Join("/proc", fmt.Sprint(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		var to *int
		switch name {
		case "VmRSS":
			to = &resident
		case "RssAnon":
			to = &own
		default:
			continue
		}
		if _, err := fmt.Sscanf(strings.TrimSpace(value), "%d kB", to); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		*to <<= 10
	}
	if resident == 0 || own == 0 {
		t.Fatal("the system does not tell what is resident")
	}
	return resident, own
}
