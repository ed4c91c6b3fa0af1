package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/docs/examples/greet"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell"
)

// run runs the program with arguments.
func run(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	o := options()
	o.Args, o.Stdin, o.Stdout, o.Stderr = args, strings.NewReader(""), &stdout, &stderr
	status = shell.Run(t.Context(), o)
	return status, stdout.String(), stderr.String()
}

func TestHail(t *testing.T) {
	ann, err := peergroup.Start(context.Background(), peergroup.Config{
		Name: "ann", Listen: []string{"tcp://127.0.0.1:0"}, NoLAN: true, NoMulticast: true, Roles: peergroup.Roles{Rendezvous: true},
		Modules: []peergroup.Module{greet.Module{Motto: "pipes, not hosts"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ann.Close()
	alone := []string{"--home", t.TempDir(), "--lan", "off", "--multicast", "off", "--quic", "off", "--client-only"}
	status, out, errs := run(t, append(alone, "--seed", ann.Addresses()[0].String(), "-c", "rdvcontrol edge connect "+ann.Addresses()[0].String()+"; hail -n 1 -w 20s")...)
	if want := fmt.Sprintf("ann\tpipes, not hosts\t%s\n", ann.ID()); status != 0 || !strings.HasSuffix(out, want) {
		t.Errorf("status %d, %q, %q; want %q", status, out, errs, want)
	}
	if status, _, errs := run(t, append(alone, "--json", "-c", "hail -w 50ms")...); status != 3 || !strings.Contains(errs, "nobody answered") {
		t.Errorf("alone: status %d, %q", status, errs)
	}
	if status, out, _ := run(t, "hail", "--help"); status != 0 || !strings.Contains(out, "hail - says hello to everybody in the group") {
		t.Errorf("help: status %d, %q", status, out)
	}
	if status, out, _ := run(t, "help"); status != 0 || !strings.Contains(out, "Commands of hail\n    hail ") {
		t.Errorf("help: status %d, %q", status, out)
	}
}
