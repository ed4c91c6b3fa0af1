package commands_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// TestInvitations: a group with certificates from founding it to throwing somebody out,
// with what is sent between the peers in files.
func TestInvitations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		network := memory.New(memory.Config{Latency: time.Millisecond})
		open := func(name string, seeds ...string) func(line string, status int) string {
			peer, err := peergroup.Start(t.Context(), peergroup.Config{
				Name: name, NoLAN: true, Seeds: seeds, Roles: peergroup.Roles{Rendezvous: len(seeds) == 0},
				Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name})},
			})
			if err != nil {
				t.Fatal(err)
			}
			s, host := &shell{peer: peer}, commands.New(peer)
			s.session = interp.New(interp.Config{Commands: host.Commands(), Out: s, Err: s, Describe: host.Describe})
			if err := host.Attach(s.session); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				s.session.Close()
				if err := peer.Close(); err != nil {
					t.Error(err)
				}
			})
			return func(line string, status int) string {
				t.Helper()
				got := s.session.Run(t.Context(), strings.ReplaceAll(line, "DIR", dir))
				out := s.take()
				if got != status {
					t.Errorf("%s> %s: status %d, want %d\n%s", name, line, got, status, out)
				}
				time.Sleep(time.Second)
				return out
			}
		}
		ann := open("ann")
		bob := open("bob", "mem://ann")
		has := func(out string, words ...string) {
			t.Helper()
			for _, w := range words {
				if !strings.Contains(out, w) {
					t.Errorf("%q is not in:\n%s", w, out)
				}
			}
		}
		ann("newpgrp -j --certificates crew", 0)
		has(ann("who", 0), "CN=founder", "certificate")
		has(bob("join crew", 0), "no member", "request")
		bob("login", 4)
		bob("request | exportfile DIR/bob.request", 0)
		ann("invite bob DIR/bob.request | exportfile DIR/bob.pem", 0)
		ann("accept DIR/bob.pem", 4)
		has(ann("i = invite -t 24h carol DIR/bob.request; cat i", 0), "BEGIN CERTIFICATE")
		ann("invite bob DIR/bob.pem", 1)
		ann("invite 'a,b' DIR/bob.request", 1)
		has(ann("who -i", 0), "bob", "carol", "founder")
		has(ann("who -i; cat cert1", 0), "BEGIN CERTIFICATE")
		has(ann("cat -p cert1", 0), "Subject : bob", "Key : Ed25519 ")
		has(ann("who; cat -p cred0; env", 0), "founder", "certificate\tbob, until", "credential\tCN=founder")
		bob("accept DIR/bob.request", 4)
		bob("accept DIR/bob.pem", 0)
		has(bob("who", 0), "CN=bob")
		bob("invite eve DIR/bob.request", 4)
		has(bob("peers -r", 0), "ann")
		has(ann("pse.status", 0), "Ed25519", "founder: yes", "membership: certificate", "issued: 3")
		has(ann("pse.certs -c", 0), "peer", "member", "group", "issued", "bob")
		has(ann("pse.keys", 0), "peer\tann", "group\tcrew")
		has(bob("pse.keys", 0), "peer\tbob")
		if out := bob("pse.keys -l", 0); strings.Contains(out, "group\tcrew") {
			t.Errorf("a member has the key of the group:\n%s", out)
		}
		has(bob("pse.status", 0), "founder: no", "member: yes")
		has(bob("pse.certs -l", 0), "member", "group")
		has(bob("who; pse.dumpcred cred0", 0), "BEGIN CERTIFICATE")
		has(bob("pse.dumpcred -p cred0", 1), "identity export")
		bob("pse.dumpcred nothing", 2)
		has(bob("peers; pse.importcert -t peer0", 1), "whoami -p")
		ann("revoke nobody", 3)
		has(ann("revoke --json bob", 0), `"name":"bob"`)
		has(ann("who -r", 0), "\t")
		has(bob("who", 3), "not a member")
		bob("accept DIR/bob.pem", 4)
		bob("pse.newcsr | exportfile DIR/again.request", 0)
		ann("pse.signcsr 0 DIR/again.request", 2)
		ann("pse.signcsr nothing 1 DIR/again.request", 2)
		bob("pse.signcsr 1 DIR/again.request", 4)
		has(ann("s = pse.signcsr cred0 1 DIR/again.request; who -i", 0), "-")
		ann("exportfile DIR/again.pem s", 0)
		ann("pse.importcert DIR/again.pem", 4)
		bob("pse.importcert -t me DIR/again.pem", 0)
		has(bob("who", 0), "certificate")
		if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		has(bob("accept DIR/big", 1), "larger")
		has(bob("request --json", 0), `"fingerprint":`)
	})
}
