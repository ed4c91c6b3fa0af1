package nat

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/soap"
)

// connections are the services that map ports, best first.
var connections = []string{
	"urn:schemas-upnp-org:service:WANIPConnection:2",
	"urn:schemas-upnp-org:service:WANIPConnection:1",
	"urn:schemas-upnp-org:service:WANPPPConnection:1",
}

// Faults of UPnP Internet Gateway Device, WANIPConnection:1, section 2.4.
const (
	faultConflict      = 718 // the outer port is given to another host
	faultSamePorts     = 724 // outer and inner port must be the same
	faultOnlyPermanent = 725 // no mappings that end
)

// lowestFree is where the ports begin that nobody is given by name.
const lowestFree = 1024

// description is what a mapping is called in the pages of the router.
const description = "Juxta"

// igd asks a router by UPnP.
type igd struct {
	local     netip.Addr
	service   string
	client    *soap.SOAPClient
	permanent bool // it knows only mappings that last
}

// findIGD finds a service of the gateway that maps ports. One with an outer address
// comes before one without.
func findIGD(ctx context.Context, gateway, local netip.Addr) (router, facts, error) {
	places, err := search(ctx, gateway, local)
	if err != nil {
		return nil, facts{}, err
	}
	web := httpClient(gateway, local)
	var spare *igd
	var spareFacts facts
	var faults []error
	for _, at := range places {
		services, err := describe(ctx, web, at, gateway)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, s := range services {
			r := &igd{local: local, service: s.ServiceType, client: soap.NewSOAPClient(s.ControlURL.URL)}
			r.client.HTTPClient = *web
			f, err := r.facts(ctx)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			if f.external.IsValid() {
				return r, f, nil
			}
			if spare == nil {
				spare, spareFacts = r, f
			}
		}
	}
	if spare != nil {
		return spare, spareFacts, nil
	}
	if len(faults) == 0 {
		faults = append(faults, errors.New(UPnP+": the gateway has no such service"))
	}
	return nil, facts{}, errors.Join(faults...)
}

// describe fetches a description, and returns the services in it that map ports.
func describe(ctx context.Context, web *http.Client, at *url.URL, gateway netip.Addr) ([]*goupnp.Service, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, plain(err)
	}
	res, err := web.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: description: HTTP status %d", UPnP, res.StatusCode)
	}
	return readDescription(res.Body, at, gateway)
}

// readDescription reads a description that is at a URL. Services elsewhere than at
// the gateway are left out.
func readDescription(r io.Reader, at *url.URL, gateway netip.Addr) ([]*goupnp.Service, error) {
	d := xml.NewDecoder(r)
	d.DefaultSpace = goupnp.DeviceXMLNamespace
	var root goupnp.RootDevice
	if err := d.Decode(&root); err != nil {
		return nil, plain(err)
	}
	base := at
	if root.URLBaseStr != "" {
		u, err := url.Parse(root.URLBaseStr)
		if err != nil {
			return nil, plain(err)
		}
		base = u
	}
	root.SetURLBase(base)
	var all []*goupnp.Service
	for _, kind := range connections {
		for _, s := range root.Device.FindService(kind) {
			if s.ControlURL.Ok && of(&s.ControlURL.URL, gateway) == nil && len(all) < maxServices {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

func (r *igd) via() string { return UPnP }

func (r *igd) facts(ctx context.Context) (facts, error) {
	var out struct{ NewExternalIPAddress string }
	if err := r.do(ctx, "GetExternalIPAddress", nil, &out); err != nil {
		return facts{}, err
	}
	var f facts
	if ip, err := netip.ParseAddr(strings.TrimSpace(out.NewExternalIPAddress)); err == nil && ip.Is4() && !ip.IsUnspecified() {
		f.external = ip
	}
	var state struct{ NewUptime string }
	if err := r.do(ctx, "GetStatusInfo", nil, &state); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(state.NewUptime), 10, 32); err == nil {
			f.up, f.upKnown = time.Duration(n)*time.Second, true
		}
	}
	return f, nil
}

// add maps a port. If the outer port is given to somebody else it tries others, if
// the router knows only mappings that last it takes one of those.
func (r *igd) add(ctx context.Context, p Port, outer int, life time.Duration) (grant, error) {
	for range maxConflicts {
		if outer == 0 {
			outer = lowestFree + rand.IntN(maxPort-lowestFree)
		}
		seconds := int(life / time.Second)
		if r.permanent {
			seconds = 0
		}
		err := r.do(ctx, "AddPortMapping", &struct {
			NewRemoteHost, NewExternalPort, NewProtocol, NewInternalPort, NewInternalClient, NewEnabled,
			NewPortMappingDescription, NewLeaseDuration string
		}{
			"", strconv.Itoa(outer), strings.ToUpper(p.Protocol), strconv.Itoa(p.Internal), r.local.String(), "1",
			description, strconv.Itoa(seconds),
		}, nil)
		var fault *soap.SOAPFaultError
		switch {
		case err == nil && r.permanent:
			return grant{outer: outer}, nil
		case err == nil:
			return grant{outer: outer, life: life}, nil
		case !errors.As(err, &fault):
			return grant{}, err
		case fault.Detail.UPnPError.Errorcode == faultOnlyPermanent && !r.permanent:
			r.permanent = true
		case fault.Detail.UPnPError.Errorcode == faultConflict:
			outer = 0
		case fault.Detail.UPnPError.Errorcode == faultSamePorts && outer != p.Internal:
			outer = p.Internal
		default:
			return grant{}, err
		}
	}
	return grant{}, fmt.Errorf("%s: %s: %d outer ports were tried in vain", UPnP, p, maxConflicts)
}

func (r *igd) remove(ctx context.Context, p Port, outer int) error {
	return r.do(ctx, "DeletePortMapping", &struct{ NewRemoteHost, NewExternalPort, NewProtocol string }{
		"", strconv.Itoa(outer), strings.ToUpper(p.Protocol),
	}, nil)
}

// do performs an action. The error may wrap a *soap.SOAPFaultError.
func (r *igd) do(ctx context.Context, action string, in, out any) error {
	err := r.client.PerformActionCtx(ctx, r.service, action, in, out)
	var fault *soap.SOAPFaultError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &fault):
		return &refusal{action, fault}
	}
	return errors.New(words(fmt.Sprintf("%s: %s: %v", UPnP, action, err)))
}

// refusal is an action that the router has refused, told in few words: it may have
// said very many.
type refusal struct {
	action string
	fault  *soap.SOAPFaultError
}

func (e *refusal) Error() string {
	u := &e.fault.Detail.UPnPError
	return fmt.Sprintf("%s: %s: error %d %q", UPnP, e.action, u.Errorcode, words(u.ErrorDescription))
}

func (e *refusal) Unwrap() error { return e.fault }

// plain is an error with at most maxWords octets of text, some of which may be the
// router's.
func plain(err error) error {
	return errors.New(words(UPnP + ": " + err.Error()))
}

// words cuts a text that is to be shown.
func words(s string) string {
	if len(s) > maxWords {
		s = s[:maxWords] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// httpClient makes a client that talks to the gateway alone, whatever it is told.
func httpClient(gateway, local netip.Addr) *http.Client {
	dialer := net.Dialer{Timeout: httpTime, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0)), KeepAlive: -1}
	return &http.Client{
		Timeout: httpTime,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &onlyGateway{gateway: gateway, next: &http.Transport{
			DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: maxHeader, ResponseHeaderTimeout: httpTime,
		}},
	}
}

// onlyGateway refuses what is not at the gateway, and cuts long answers.
type onlyGateway struct {
	gateway netip.Addr
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *onlyGateway) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := of(req.URL, t.gateway); err != nil {
		return nil, err
	}
	res, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, maxBody), res.Body}
	return res, nil
}
