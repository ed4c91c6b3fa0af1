package nat

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The fakes of this file are routers on loopback addresses of their own, of which
// Linux has sixteen million.

var gateways atomic.Uint32

// newGateway returns a loopback address at which nobody is.
func newGateway() netip.Addr {
	n := gateways.Add(1)
	return netip.AddrFrom4([4]byte{127, byte(64 + os.Getpid()%128), byte(n >> 8), byte(n)})
}

// answers has a socket answer what it gets, until the test ends.
func answers(t testing.TB, conn *net.UDPConn, answer func(b []byte) []byte) {
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if b := answer(buf[:n]); b != nil {
				_, _ = conn.WriteToUDPAddrPort(b, from)
			}
		}
	})
	t.Cleanup(func() { _ = conn.Close(); done.Wait() })
}

// listen opens a port of a gateway for datagrams, which answer gets and answers.
func listen(t testing.TB, at netip.AddrPort, answer func(b []byte) []byte) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Skipf("NOT TESTED: this needs %v: %v", at, err)
	}
	answers(t, conn, answer)
}

// fakePMP is a router that speaks NAT-PMP.
type fakePMP struct {
	mu       sync.Mutex
	external netip.Addr
	began    time.Time
	code     uint16 // result of mappings
	life     uint32 // granted, 0: as asked
	shift    uint16
	held     map[Port]uint16
	spoil    func([]byte) []byte // of every answer
}

func newPMP(t testing.TB, gateway netip.Addr) *fakePMP {
	f := &fakePMP{external: outside, began: time.Now(), held: map[Port]uint16{}}
	listen(t, netip.AddrPortFrom(gateway, pmpPort), f.answer)
	return f
}

func (f *fakePMP) set(g func()) { f.mu.Lock(); defer f.mu.Unlock(); g() }

func (f *fakePMP) holds(p Port) int { f.mu.Lock(); defer f.mu.Unlock(); return int(f.held[p]) }

func (f *fakePMP) count() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.held) }

// answer answers a question as RFC 6886 sections 3.2 and 3.3 have it.
func (f *fakePMP) answer(q []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(q) < 2 || q[0] != 0 {
		return nil
	}
	a := []byte{0, q[1] | 0x80, 0, 0}
	a = binary.BigEndian.AppendUint32(a, uint32(time.Since(f.began)/time.Second))
	switch {
	case q[1] == 0:
		a = append(a, f.external.AsSlice()...)
	case len(q) == 12 && q[1] <= 2:
		p := Port{[]string{"", "udp", "tcp"}[q[1]], int(binary.BigEndian.Uint16(q[4:]))}
		outer, life := binary.BigEndian.Uint16(q[6:]), binary.BigEndian.Uint32(q[8:])
		binary.BigEndian.PutUint16(a[2:], f.code)
		switch {
		case f.code != 0:
		case life == 0:
			delete(f.held, p)
			outer = 0
		default:
			if f.life != 0 {
				life = f.life
			}
			if _, ok := f.held[p]; !ok {
				outer += f.shift
			}
			f.held[p] = outer
		}
		a = append(a, q[4], q[5])
		a = binary.BigEndian.AppendUint16(a, outer)
		a = binary.BigEndian.AppendUint32(a, life)
	}
	if f.spoil != nil {
		a = f.spoil(a)
	}
	return a
}

// fakeIGD is a router that speaks UPnP.
type fakeIGD struct {
	mu        sync.Mutex
	gateway   netip.Addr
	web       string // URL of the HTTP server
	service   string
	external  string
	uptime    string
	taken     map[string]bool // outer ports of others, such as "TCP 9701"
	permanent bool
	held      map[string]string // outer port to host, port and lifetime
	location  string            // "": its own description
	urlBase   string
	control   string // "": its own
	spoil     func(w http.ResponseWriter, r *http.Request) bool
	hits      []string
}

// newIGD makes a router that is found by asking it.
func newIGD(t testing.TB, gateway netip.Addr) *fakeIGD {
	t.Helper()
	f := hiddenIGD(t, gateway)
	listen(t, netip.AddrPortFrom(gateway, ssdpPort), f.answer)
	return f
}

// hiddenIGD makes one that is not found.
func hiddenIGD(t testing.TB, gateway netip.Addr) *fakeIGD {
	t.Helper()
	f := &fakeIGD{gateway: gateway, service: connections[1], external: outside.String(), uptime: "1000", taken: map[string]bool{}, held: map[string]string{}}
	l, err := net.Listen("tcp4", gateway.String()+":0")
	if err != nil {
		t.Skipf("NOT TESTED: this needs %v: %v", gateway, err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}}
	s.Start()
	t.Cleanup(s.Close)
	f.web = s.URL
	return f
}

func (f *fakeIGD) set(g func()) { f.mu.Lock(); defer f.mu.Unlock(); g() }

func (f *fakeIGD) holds(key string) string { f.mu.Lock(); defer f.mu.Unlock(); return f.held[key] }

func (f *fakeIGD) count() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.held) }

// answer answers a search as UPnP Device Architecture 1.1 section 1.3.3 has it.
func (f *fakeIGD) answer(q []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasPrefix(string(q), "M-SEARCH * HTTP/1.1\r\n") || !strings.Contains(string(q), `MAN: "ssdp:discover"`) {
		return nil
	}
	target := regexp.MustCompile(`(?m)^ST: (.*)\r$`).FindSubmatch(q)
	if target == nil {
		return nil
	}
	at := f.location
	if at == "" {
		at = f.web + "/root.xml"
	}
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: %s\r\nUSN: uuid:1::%s\r\nEXT:\r\nLOCATION: %s\r\n\r\n", target[1], target[1], at)
}

var argument = regexp.MustCompile(`<(New\w+)>([^<]*)</`)

// ServeHTTP implements http.Handler.
func (f *fakeIGD) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hits = append(f.hits, r.URL.Path)
	if f.spoil != nil && f.spoil(w, r) {
		return
	}
	if r.Method == http.MethodGet {
		control := f.control
		if control == "" {
			control = "/ctl"
		}
		fmt.Fprint(w, descriptionOf(f.service, control, f.urlBase))
		return
	}
	service, action, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPAction"), `"`), "#")
	body := make([]byte, 1<<14)
	n, _ := r.Body.Read(body)
	in := map[string]string{}
	for _, m := range argument.FindAllStringSubmatch(string(body[:n]), -1) {
		in[m[1]] = m[2]
	}
	out, fault := f.act(action, in)
	if service != f.service {
		fault = 401
	}
	w.Header().Set("Content-Type", "text/xml")
	if fault != 0 {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode>`+
			`<faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode>`+
			`<errorDescription>%s</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, fault, strings.Repeat("so ", 1000))
		return
	}
	fmt.Fprintf(w, `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">`+
		`<s:Body><u:%sResponse xmlns:u="%s">%s</u:%sResponse></s:Body></s:Envelope>`, action, service, out, action)
}

// act does an action.
func (f *fakeIGD) act(action string, in map[string]string) (out string, fault int) {
	key := in["NewProtocol"] + " " + in["NewExternalPort"]
	switch action {
	case "GetExternalIPAddress":
		return "<NewExternalIPAddress>" + f.external + "</NewExternalIPAddress>", 0
	case "GetStatusInfo":
		return "<NewConnectionStatus>Connected</NewConnectionStatus><NewLastConnectionError/><NewUptime>" + f.uptime + "</NewUptime>", 0
	case "AddPortMapping":
		switch {
		case f.taken[key]:
			return "", faultConflict
		case f.permanent && in["NewLeaseDuration"] != "0":
			return "", faultOnlyPermanent
		}
		f.held[key] = in["NewInternalClient"] + " " + in["NewInternalPort"] + " " + in["NewLeaseDuration"]
		return "", 0
	case "DeletePortMapping":
		if f.held[key] == "" {
			return "", 714
		}
		delete(f.held, key)
		return "", 0
	}
	return "", 401
}

// descriptionOf is a description with devices in devices, as IGDs have it.
func descriptionOf(service, control, base string) string {
	if base != "" {
		base = "<URLBase>" + base + "</URLBase>"
	}
	return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>` + base +
		`<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>R</friendlyName><deviceList>` +
		`<device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><deviceList>` +
		`<device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service>` +
		`<serviceType>` + service + `</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>` +
		`<controlURL>` + control + `</controlURL><eventSubURL>/evt</eventSubURL><SCPDURL>/scpd.xml</SCPDURL></service></serviceList></device>` +
		`</deviceList></device></deviceList></device></root>`
}
