package nat

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/huin/goupnp/ssdp"
)

// ssdpPort is where devices listen for SSDP.
const ssdpPort = 1900

// ssdpGroup is the multicast address of SSDP.
var ssdpGroup = netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 255, 255, 250}), ssdpPort)

// searchTargets are what is searched for. Not every gateway names itself one, but
// every root device answers the second.
var searchTargets = []string{"urn:schemas-upnp-org:device:InternetGatewayDevice:1", ssdp.UPNPRootDevice}

// searchSends is how often each question is sent.
const searchSends = 2

// search returns the URLs at which the gateway says that its descriptions are.
func search(ctx context.Context, gateway, local netip.Addr) ([]*url.URL, error) {
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	found := make([][]*url.URL, len(searchTargets))
	faults := make([]error, len(searchTargets))
	var searching sync.WaitGroup
	for i, target := range searchTargets {
		searching.Go(func() {
			answers, err := ssdp.RawSearch(ctx, &searcher{gateway, local}, target, searchSends)
			faults[i] = err
			for _, a := range answers {
				if at, err := a.Location(); err == nil && of(at, gateway) == nil {
					found[i] = append(found[i], at)
				}
			}
		})
	}
	searching.Wait()
	var all []*url.URL
	for _, at := range slices.Concat(found...) {
		known := slices.ContainsFunc(all, func(u *url.URL) bool { return u.String() == at.String() })
		if !known && len(all) < maxDevices {
			all = append(all, at)
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("%s: search: %w", UPnP, err)
	}
	return nil, errors.New(UPnP + ": search: the gateway does not answer")
}

// of returns nil if a URL is one of the gateway itself.
func of(u *url.URL, gateway netip.Addr) error {
	host, err := netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme != "http":
		return fmt.Errorf("%s: a URL of the scheme %q", UPnP, words(u.Scheme))
	case err != nil || host.Unmap() != gateway:
		return fmt.Errorf("%s: a URL at %q instead of the gateway", UPnP, words(u.Host))
	}
	return nil
}

// searcher asks by SSDP from one address, and takes answers of the gateway only. It
// serves package ssdp in place of a client that would take them from anybody.
type searcher struct{ gateway, local netip.Addr }

// DoWithContext sends a question to the neighbourhood and to the gateway, and
// returns the answers until shortly after the first one of use.
func (s *searcher) DoWithContext(req *http.Request, sends int) ([]*http.Response, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.local, 0)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	ctx := req.Context()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := s.send(conn, req, sends); err != nil {
		return nil, err
	}
	var answers []*http.Response
	buf := make([]byte, maxDatagram)
	for range maxDatagrams {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			break // the time is over
		}
		if from.Addr().Unmap() != s.gateway {
			continue
		}
		a, ok := readAnswer(buf[:n], req)
		if !ok {
			continue
		}
		if answers = append(answers, a); len(answers) == maxAnswers {
			break
		}
		if len(answers) == 1 {
			_ = conn.SetReadDeadline(time.Now().Add(graceTime))
			if ctx.Err() != nil { // whose deadline may just have been replaced
				break
			}
		}
	}
	return answers, nil
}

// send asks. Multicast may be impossible, and loopback has no neighbourhood.
func (s *searcher) send(conn *net.UDPConn, req *http.Request, sends int) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s * HTTP/1.1\r\n", req.Method)
	if err := req.Header.Write(&text); err != nil {
		return err
	}
	text.WriteString("\r\n")
	var fault error
	for range sends {
		_, fault = conn.WriteToUDPAddrPort(text.Bytes(), netip.AddrPortFrom(s.gateway, ssdpPort))
		if s.gateway.IsLoopback() {
			continue
		}
		if _, err := conn.WriteToUDPAddrPort(text.Bytes(), ssdpGroup); err == nil {
			fault = nil
		}
	}
	return fault
}

// readAnswer reads an answer, and reports whether it is one of use.
func readAnswer(b []byte, req *http.Request) (*http.Response, bool) {
	a, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(bytes.Clone(b))), req)
	if err != nil || a.StatusCode != http.StatusOK {
		return nil, false
	}
	_, err = a.Location()
	return a, err == nil
}
