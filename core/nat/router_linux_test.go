package nat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a Mapper for a gateway, and returns it when it has said something.
func start(t *testing.T, gateway netip.Addr, ports ...Port) *Mapper {
	t.Helper()
	changed := make(chan []Mapping, 100)
	m, err := New(Config{Ports: ports, Gateway: func() (netip.Addr, error) { return gateway, nil }, Changed: func(all []Mapping) { changed <- all }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		began := time.Now()
		_ = m.Close()
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("Close took %v", d)
		}
	})
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatalf("nothing is mapped: %+v", m.Status())
	}
	return m
}

func TestNATPMP(t *testing.T) {
	gateway := newGateway()
	f := newPMP(t, gateway)
	f.set(func() { f.shift = 1 })
	m := start(t, gateway, tcpPort, udpPort)
	all := m.Mappings()
	if len(all) != 2 || all[0].Via != NATPMP || all[0].External.String() != "203.0.113.7:9702" || all[1].External.String() != "203.0.113.7:9703" || !all[1].Usable {
		t.Errorf("%+v", all)
	}
	if f.holds(tcpPort) != 9702 || f.holds(udpPort) != 9703 {
		t.Errorf("%v", f.held)
	}
	_ = m.Close()
	if f.count() != 0 {
		t.Error("mappings are left behind")
	}
}

func TestUPnP(t *testing.T) {
	for _, service := range connections {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			gateway := newGateway()
			f := newIGD(t, gateway)
			f.set(func() { f.service = service })
			m := start(t, gateway, tcpPort, udpPort)
			all := m.Mappings()
			if len(all) != 2 || all[0].Via != UPnP || all[0].External.String() != "203.0.113.7:9701" || time.Until(all[0].Until) < 59*time.Minute {
				t.Errorf("%+v", all)
			}
			if f.holds("TCP 9701") != "127.0.0.1 9701 3600" || f.holds("UDP 9702") != "127.0.0.1 9702 3600" {
				t.Errorf("%v", f.held)
			}
			_ = m.Close()
			if f.count() != 0 {
				t.Error("mappings are left behind")
			}
		})
	}
}

func TestUPnPOfOldRouters(t *testing.T) {
	gateway := newGateway()
	f := newIGD(t, gateway)
	f.set(func() {
		f.permanent, f.taken["TCP 9701"], f.external, f.urlBase = true, true, "192.168.100.2", f.web
	})
	m := start(t, gateway, tcpPort)
	all := m.Mappings()
	if len(all) != 1 || all[0].External.Port() == 9701 || all[0].External.Port() < lowestFree || all[0].Usable || !all[0].Until.IsZero() {
		t.Errorf("%+v", all)
	}
	f.set(func() {
		for _, h := range f.held {
			if h != "127.0.0.1 9701 0" {
				t.Errorf("%v", f.held)
			}
		}
	})
	_ = m.Close()
	if f.count() != 0 {
		t.Error("mappings are left behind")
	}
}

// TestPMPThatRefuses has a router that speaks both, and does nothing by NAT-PMP.
func TestPMPThatRefuses(t *testing.T) {
	gateway := newGateway()
	p, f := newPMP(t, gateway), newIGD(t, gateway)
	p.set(func() { p.code = 2 })
	m := start(t, gateway, tcpPort)
	if all := m.Mappings(); all[0].Via != UPnP || f.holds("TCP 9701") == "" {
		t.Errorf("%+v", all)
	}
}

// TestAnswersCut has a NAT-PMP router whose answers are cut at every octet, and
// ones that are too long.
func TestAnswersCut(t *testing.T) {
	gateway := newGateway()
	f := newPMP(t, gateway)
	ctx := context.Background()
	r := &pmp{gateway, netip.MustParseAddr("127.0.0.1")}
	for n := range 16 {
		f.set(func() { f.spoil = func(b []byte) []byte { return b[:min(n, len(b))] } })
		if _, err := r.facts(ctx); (err == nil) != (n >= 12) {
			t.Errorf("facts of %d octets: %v", n, err)
		}
		if g, err := r.add(ctx, tcpPort, 1, time.Hour); err == nil {
			t.Errorf("a mapping of %d octets: %v", n, g)
		}
	}
	for name, spoil := range map[string]func(b []byte) []byte{
		"other port":  func(b []byte) []byte { b[9]++; return b },
		"port 0":      func(b []byte) []byte { b[10], b[11] = 0, 0; return b },
		"lifetime 0":  func(b []byte) []byte { copy(b[12:], []byte{0, 0, 0, 0}); return b },
		"version":     func(b []byte) []byte { b[0] = 2; return b },
		"op":          func(b []byte) []byte { b[1]++; return b },
		"the request": func(b []byte) []byte { b[1] &= 0x7f; return b },
	} {
		f.set(func() { f.spoil = spoil })
		if g, err := r.add(ctx, tcpPort, 1, time.Hour); err == nil {
			t.Errorf("%s: %v", name, g)
		}
	}
	f.set(func() { f.spoil = nil; f.life = 1<<32 - 1 })
	if g, err := r.add(ctx, tcpPort, 1, time.Hour); err != nil || g.life != time.Hour {
		t.Errorf("%v, %v: more than asked for", g, err)
	}
	f.set(func() { f.external = netip.IPv4Unspecified() })
	if s, err := r.facts(ctx); err != nil || s.external.IsValid() {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestNobody has a gateway that does not listen, or says nothing.
func TestNobody(t *testing.T) {
	t.Parallel()
	gateway := newGateway()
	listen(t, netip.AddrPortFrom(gateway, pmpPort), func([]byte) []byte { return nil })
	local := netip.MustParseAddr("127.0.0.1")
	for name, find := range map[string]finder{NATPMP: findPMP, UPnP: findIGD} {
		began := time.Now()
		if _, _, err := find(t.Context(), gateway, local); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}

// TestHostileDevices has devices that lead elsewhere, or say too much.
func TestHostileDevices(t *testing.T) {
	local := netip.MustParseAddr("127.0.0.1")
	other := newIGD(t, newGateway()) // nobody must get there
	for name, x := range map[string]func(f *fakeIGD){
		"description elsewhere": func(f *fakeIGD) { f.location = other.web + "/root.xml" },
		"description by name":   func(f *fakeIGD) { f.location = "http://localhost/root.xml" },
		"description a file":    func(f *fakeIGD) { f.location = "file:///etc/hostname" },
		"no URL":                func(f *fakeIGD) { f.location = "http://%zz" },
		"actions elsewhere":     func(f *fakeIGD) { f.control = other.web + "/ctl" },
		"base elsewhere":        func(f *fakeIGD) { f.urlBase = other.web },
		"redirection": func(f *fakeIGD) {
			f.spoil = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, other.web+r.URL.Path, http.StatusTemporaryRedirect)
				return true
			}
		},
		"redirected action": func(f *fakeIGD) {
			f.spoil = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost {
					http.Redirect(w, r, other.web+r.URL.Path, http.StatusTemporaryRedirect)
				}
				return r.Method == http.MethodPost
			}
		},
		"endless description": func(f *fakeIGD) {
			f.spoil = func(w http.ResponseWriter, r *http.Request) bool { return pour(w, r, "<root>", "<device>") }
		},
		"endless action": func(f *fakeIGD) {
			f.spoil = func(w http.ResponseWriter, r *http.Request) bool {
				return r.Method == http.MethodPost && pour(w, r, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>`, "<a>b</a>")
			}
		},
		"garbage": func(f *fakeIGD) {
			f.spoil = func(w http.ResponseWriter, _ *http.Request) bool {
				_, _ = w.Write([]byte("\x00\xff<<&" + strings.Repeat("z", 10_000)))
				return true
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newIGD(t, newGateway())
			f.set(func() { x(f) })
			began := time.Now()
			_, _, err := findIGD(t.Context(), f.gateway, local)
			if err == nil {
				t.Fatal("taken")
			}
			if len(err.Error()) > 2*maxDevices*(maxWords+40) {
				t.Errorf("many words: %d", len(err.Error()))
			}
			if d := time.Since(began); d > 6*time.Second {
				t.Errorf("it took %v", d)
			}
			other.set(func() {
				if len(other.hits) > 0 {
					t.Errorf("led elsewhere: %v", other.hits)
				}
				other.hits = nil
			})
		})
	}
}

// TestClient holds both that guard against being led elsewhere.
func TestClient(t *testing.T) {
	f, other := newIGD(t, newGateway()), newIGD(t, newGateway())
	web := httpClient(f.gateway, netip.MustParseAddr("127.0.0.1"))
	if res, err := web.Get(other.web); err == nil {
		_ = res.Body.Close()
		t.Error("talks to others")
	}
	f.set(func() { f.spoil = func(w http.ResponseWriter, r *http.Request) bool { return pour(w, r, "", "x") } })
	res, err := web.Get(f.web)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if n != maxBody || err != nil {
		t.Errorf("%d octets, %v", n, err)
	}
	f.set(func() {
		f.hits = nil
		f.spoil = func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
			return true
		}
	})
	if res, err = web.Get(f.web); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	f.set(func() {
		if len(f.hits) != 1 || len(other.hits) != 0 {
			t.Errorf("%v, %v", f.hits, other.hits)
		}
	})
}

// pour writes without end, or until nobody reads.
func pour(w http.ResponseWriter, r *http.Request, head, piece string) bool {
	_, err := w.Write([]byte(head))
	piece = strings.Repeat(piece, 1000)
	for err == nil && r.Context().Err() == nil {
		_, err = w.Write([]byte(piece))
	}
	return true
}

// TestAnswersOfOthers has a neighbour that answers searches in place of the gateway,
// and a gateway that does so later.
func TestAnswersOfOthers(t *testing.T) {
	gateway, liar, local := newGateway(), newGateway(), netip.MustParseAddr("127.0.0.1")
	answer := func(at netip.Addr) []byte {
		return []byte("HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: x\r\nLOCATION: http://" + gateway.String() + "/" + at.String() + "\r\n\r\n")
	}
	var conns []*net.UDPConn
	for _, at := range []netip.Addr{gateway, liar} {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, ssdpPort)))
		if err != nil {
			t.Skipf("NOT TESTED: %v", err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	var answering sync.WaitGroup
	answering.Go(func() {
		buf := make([]byte, maxDatagram)
		for range len(searchTargets) * searchSends {
			_, from, err := conns[0].ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = conns[1].WriteToUDPAddrPort(answer(liar), from)
			_, _ = conns[0].WriteToUDPAddrPort(answer(gateway), from)
		}
	})
	all, err := search(t.Context(), gateway, local)
	if err != nil || len(all) != 1 || all[0].Path != "/"+gateway.String() {
		t.Errorf("%v, %v", all, err)
	}
	_ = conns[0].Close()
	answering.Wait()
}

// TestFloodOfAnswers has a gateway that does not stop.
func TestFloodOfAnswers(t *testing.T) {
	gateway, local := newGateway(), netip.MustParseAddr("127.0.0.1")
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(gateway, ssdpPort)))
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	var answering sync.WaitGroup
	answering.Go(func() {
		buf := make([]byte, maxDatagram)
		for {
			_, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			for i := range 2 * maxDatagrams {
				_, _ = c.WriteToUDPAddrPort(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: x\r\nLOCATION: http://%s/%d\r\n\r\n", gateway, i), from)
			}
		}
	})
	all, err := search(t.Context(), gateway, local)
	if err != nil || len(all) != maxDevices {
		t.Errorf("%v, %v", all, err)
	}
	_ = c.Close()
	answering.Wait()
}

func TestStatusWithoutService(t *testing.T) {
	t.Parallel()
	gateway := newGateway()
	m, err := New(Config{Ports: []Port{tcpPort}, Gateway: func() (netip.Addr, error) { return gateway, nil }})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_ = m.Close()
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("Close took %v", d)
	}
	if s := m.Status(); s.Err != nil && !errors.Is(s.Err, ErrNoService) {
		t.Errorf("%+v", s)
	}
}
