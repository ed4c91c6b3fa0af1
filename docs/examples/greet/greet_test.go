package greet_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/docs/examples/greet"
	"github.com/juxta-p2p/juxta/peergroup"
)

// member starts a peer in a memory network whose hosts are all near each other.
func member(network *memory.Network, name string, modules ...peergroup.Module) *peergroup.Peer {
	p, err := peergroup.Start(context.Background(), peergroup.Config{
		Name: name, NoLAN: true, Modules: modules,
		Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: name, Segment: "lan"})},
	})
	if err != nil {
		panic(err)
	}
	return p
}

func ExampleMeet() {
	network := memory.New(memory.Config{})
	ann := member(network, "ann")
	defer ann.Close()
	bob := member(network, "bob", greet.Module{Motto: "pipes, not hosts"})
	defer bob.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for r, err := range greet.Meet(ctx, ann.Net(), "ann") {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Printf("%s: %s\n", r.Body.Name, r.Body.Motto)
		break // one introduction is enough
	}
	// Output: bob: pipes, not hosts
}

func TestOnlyMembersOfTheGroupAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Config{})
		ann, bob, eve := member(network, "ann"), member(network, "bob"), member(network, "eve", greet.Module{})
		for _, p := range []*peergroup.Peer{ann, bob, eve} {
			defer func() { _ = p.Close() }()
		}
		crew, err := ann.Net().Create(t.Context(), peergroup.Spec{Name: "crew"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bob.Net().Join(t.Context(), crew.Advertisement(), greet.Module{Motto: "aye"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var got []string
		for r, err := range greet.Meet(ctx, crew, "ann") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Body.Name)
		}
		if fmt.Sprint(got) != "[bob]" {
			t.Fatalf("%v answered, want bob alone: eve is not in the crew", got)
		}
	})
}

func TestTheWholeModuleFitsOnAPage(t *testing.T) {
	b, err := os.ReadFile("greet.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		lines++
	}
	if lines >= 60 {
		t.Fatalf("a protocol takes %d lines: the API has grown in the wrong place", lines)
	}
}
