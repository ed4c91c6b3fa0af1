package nat

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/huin/goupnp/soap"
)

const someGateway = "192.168.1.1"

func FuzzAnswer(f *testing.F) {
	whole := (&fakeIGD{web: "http://" + someGateway + ":5000"}).answer([]byte("M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\nST: upnp:rootdevice\r\n\r\n"))
	for n := range whole {
		f.Add(whole[:n])
	}
	f.Add(whole)
	if _, ok := readAnswer(whole, nil); !ok {
		f.Error("the whole is no answer")
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := readAnswer(b, nil)
		if !ok {
			return
		}
		if u, err := a.Location(); err != nil || u == nil {
			t.Errorf("%v, %v", u, err)
		}
	})
}

func FuzzDescription(f *testing.F) {
	gateway := netip.MustParseAddr(someGateway)
	at := &url.URL{Scheme: "http", Host: someGateway + ":5000", Path: "/root.xml"}
	whole := descriptionOf(connections[0], "ctl", "")
	for n := 0; n < len(whole); n++ {
		f.Add([]byte(whole[:n]))
	}
	f.Add([]byte(whole))
	f.Add([]byte(descriptionOf(connections[2], "http://10.0.0.1/ctl", "http://"+someGateway)))
	if all, err := readDescription(bytes.NewReader([]byte(whole)), at, gateway); err != nil || len(all) != 1 || all[0].ControlURL.URL.String() != "http://192.168.1.1:5000/ctl" {
		f.Errorf("%v, %v", all, err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := readDescription(io.LimitReader(bytes.NewReader(b), maxBody), at, gateway)
		if len(all) > maxServices || err != nil && len(err.Error()) > maxWords+8 {
			t.Errorf("%d, %v", len(all), err)
		}
		for _, s := range all {
			if err := of(&s.ControlURL.URL, gateway); err != nil {
				t.Error(err)
			}
		}
	})
}

// says is an HTTP server that says one thing.
type says []byte

func (s says) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, ContentLength: -1, Body: io.NopCloser(bytes.NewReader(s))}, nil
}

func FuzzAction(f *testing.F) {
	gateway := netip.MustParseAddr(someGateway)
	whole := []byte(`<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:R xmlns:u="x">` +
		`<NewExternalIPAddress>203.0.113.7</NewExternalIPAddress><NewUptime>17</NewUptime></u:R></s:Body></s:Envelope>`)
	ask := func(b []byte) (facts, error) {
		r := &igd{service: connections[0], client: soap.NewSOAPClient(url.URL{Scheme: "http", Host: someGateway})}
		r.client.HTTPClient.Transport = &onlyGateway{gateway: gateway, next: says(b)}
		return r.facts(context.Background())
	}
	if s, err := ask(whole); err != nil || s.external != outside || s.up != 17*time.Second {
		f.Errorf("%+v, %v", s, err)
	}
	for n := range whole {
		f.Add(whole[:n])
		if s, err := ask(whole[:n]); err == nil && s.external.IsValid() {
			f.Errorf("%d octets: %+v", n, s)
		}
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ask(b)
		if s.external.IsValid() && !s.external.Is4() || err != nil && len(err.Error()) > maxWords+80 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}
