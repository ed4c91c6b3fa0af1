package costtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
)

// patience bounds every wait; it is long because the machine may be busy.
const patience = 30 * time.Second

// loopback is where the peers of these tests listen.
const loopback = "tcp://127.0.0.1:0"

// childVariable tells the test binary to be one of the programs below instead.
const childVariable = "JUXTA_COST_CHILD"

// children are these programs. They run until their input ends.
var children = map[string]func(args []string) error{
	"peer": runPeer, "edges": runEdges, "hub": runHub, "holders": runHolders,
}

func TestMain(m *testing.M) {
	run, ok := children[os.Getenv(childVariable)]
	if !ok {
		status := m.Run()
		if built != "" {
			_ = os.RemoveAll(built)
		}
		os.Exit(status)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// runPeer is the least program that is a peer: an edge with a home and a seed.
func runPeer(args []string) error {
	if len(args) != 2 {
		return errors.New("want a home and a seed")
	}
	p, err := peergroup.Start(context.Background(), edgeConfig(args[0], args[1]))
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // its end is what counts
	return p.Close()
}

// runEdges starts so many edges that lease from one peer.
func runEdges(args []string) error {
	n, seed, err := counted(args)
	if err != nil {
		return err
	}
	for range n {
		p, err := peergroup.Start(context.Background(), edgeConfig("", seed))
		if err != nil {
			return err
		}
		defer func() { _ = p.Close() }()
		if err := p.Net().Rendezvous().WaitConnected(context.Background()); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// runHub is a rendezvous that says where it listens.
func runHub([]string) error {
	p, err := peergroup.Start(context.Background(), hubConfig())
	if err != nil {
		return err
	}
	fmt.Println(seedOf(p))
	_, _ = io.Copy(io.Discard, os.Stdin)
	return p.Close()
}

// runHolders starts edges that publish so many pipes together, and one more that has the wanted one.
func runHolders(args []string) error {
	others, seed, err := counted(args)
	if err != nil {
		return err
	}
	edge := func(names ...string) error {
		p, err := peergroup.Start(context.Background(), edgeConfig("", seed))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := publish(context.Background(), p, name); err != nil {
				return err
			}
		}
		return p.Net().Rendezvous().WaitConnected(context.Background())
	}
	for done := 0; done < others; {
		var names []string
		for range min(eachPublishes, others-done) {
			names = append(names, fmt.Sprint("pipe ", done))
			done++
		}
		if err := edge(names...); err != nil {
			return err
		}
	}
	if err := edge(wanted); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin) // the peers end with the process
	return err
}

func counted(args []string) (n int, seed string, err error) {
	if len(args) != 2 {
		return 0, "", errors.New("want a number and a seed")
	}
	n, err = strconv.Atoi(args[0])
	return n, args[1], err
}

// edgeConfig is that of an edge that meets nobody but its seed.
func edgeConfig(home, seed string) peergroup.Config {
	return peergroup.Config{Name: "edge", Home: home, Listen: []string{loopback}, Seeds: []string{seed}, NoLAN: true, NoMulticast: true}
}

// hub is a rendezvous in the process of the test.
type hub struct {
	*peergroup.Peer
	seed   string
	joined chan id.Peer // who has got a lease
}

// atOnce is how many peers may come before a test looks.
const atOnce = 1000

// hubConfig is that of a rendezvous that meets whoever comes.
func hubConfig() peergroup.Config {
	return peergroup.Config{
		Name: "hub", Listen: []string{loopback}, NoLAN: true, NoMulticast: true, Roles: peergroup.Roles{Rendezvous: true}, MaxClients: atOnce,
	}
}

// seedOf is where others find a peer.
func seedOf(p *peergroup.Peer) string {
	for _, a := range p.Addresses() {
		if a.Protocol == tcp.Protocol {
			return a.String()
		}
	}
	return ""
}

func startHub(tb testing.TB) *hub {
	tb.Helper()
	p, err := peergroup.Start(tb.Context(), hubConfig())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	h := &hub{Peer: p, seed: seedOf(p), joined: make(chan id.Peer, atOnce)}
	p.Net().Rendezvous().Watch(func(ev rendezvous.Event) {
		if ev.Kind == rendezvous.ClientJoined {
			note(h.joined, ev.Peer)
		}
	})
	return h
}

func note(c chan<- id.Peer, p id.Peer) {
	select {
	case c <- p:
	default: // more than any test waits for
	}
}

// await waits for so many peers.
func await(tb testing.TB, c <-chan id.Peer, n int) {
	tb.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for i := range n {
		select {
		case <-c:
		case <-late.C:
			tb.Fatalf("%d of %d peers came", i, n)
		}
	}
}

// child returns the command that runs one of the programs above.
func child(tb testing.TB, name string, args ...string) *exec.Cmd {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	return cmd
}

// built is the folder of the program, if it was built.
var built string

// program is the shell, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "juxta-cost")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "juxta.exe") // Windows wants the suffix, others do not mind
	if out, err := exec.Command("go", "build", "-o", path, "../../shell/juxta").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// shell returns the command that runs the program.
func shell(tb testing.TB, home, seed string, more ...string) *exec.Cmd {
	tb.Helper()
	path, err := program()
	if err != nil {
		tb.Fatal(err)
	}
	return exec.Command(path, append([]string{"--home", home, "--seed", seed, "--listen", loopback, "--listen", "quic://127.0.0.1:0", "--lan", "off", "--multicast", "off"}, more...)...)
}

// running is a process that ends when its input does.
type running struct {
	cmd *exec.Cmd
	in  io.Closer
}

// start starts a command. It is ended with the test at the latest.
func start(tb testing.TB, cmd *exec.Cmd) *running {
	tb.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	r := &running{cmd, in}
	tb.Cleanup(r.stop)
	return r
}

// stop ends the process politely and waits for it.
func (r *running) stop() {
	_ = r.in.Close() // a second time does not matter
	kill := time.AfterFunc(patience, func() { _ = r.cmd.Process.Kill() })
	defer kill.Stop()
	_ = r.cmd.Wait()
}

// without waits until the hub has nobody's lease any more: whoever comes back
// before that renews and does not join.
func (h *hub) without(tb testing.TB) {
	tb.Helper()
	for end := time.Now().Add(patience); len(h.Net().Rendezvous().Clients()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatal("a lease was not given back")
		}
	}
}
