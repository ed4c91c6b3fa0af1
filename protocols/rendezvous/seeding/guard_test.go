package seeding

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/xmldoc"
)

func newGuard(t *testing.T, cfg GuardConfig) *Guard {
	t.Helper()
	g, err := NewGuard(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func TestGuardWithoutList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := NewGuard(GuardConfig{})
		if err != nil {
			t.Fatal(err)
		}
		ready(t, g)
		if !g.Allows(ann) || g.ACL() != nil || g.Status() != (Status{}) {
			t.Errorf("%t, %v, %v", g.Allows(ann), g.ACL(), g.Status())
		}
		// Not closed: the bubble fails if a goroutine is left.
	})
	if _, err := NewGuard(GuardConfig{URI: "acl.xml"}); !errors.Is(err, ErrURI) {
		t.Error(err)
	}
}

// What counts while the list cannot be read, before and after it once was.
func TestGuardWhenUnreadable(t *testing.T) {
	for _, c := range []struct {
		open         bool
		before, says string
	}{
		{false, "refused", "nobody is let in"},
		{true, "allowed", "everybody is let in"},
	} {
		synctest.Test(t, func(t *testing.T) {
			type script func() (*http.Response, error)
			var resp atomic.Value
			resp.Store(script(func() (*http.Response, error) { return nil, errDown }))
			var log bytes.Buffer
			g := newGuard(t, GuardConfig{
				URI: "http://one/acl", FailOpen: c.open, Logger: slog.New(slog.NewTextHandler(&log, nil)),
				Client: servers(func(*http.Request) (*http.Response, error) { return resp.Load().(script)() }).client(),
			})
			verdict := func() string {
				if g.Allows(carol) {
					return "allowed"
				}
				return "refused"
			}
			if v := verdict(); v != c.before {
				t.Errorf("open %t: %s before the first load", c.open, v)
			}
			ready(t, g)
			if v := verdict(); v != c.before || g.ACL() != nil || !strings.Contains(log.String(), c.says) {
				t.Errorf("open %t: %s after a failure; log %s", c.open, v, &log)
			}
			if st := g.Status(); !errors.Is(st.Err, errDown) || !around(st.Next, 5*time.Minute) {
				t.Errorf("%+v", st)
			}

			resp.Store(script(func() (*http.Response, error) { return answer(200, xacl(peer(ann, ""))), nil }))
			time.Sleep(time.Until(g.Status().Next))
			synctest.Wait()
			if !g.Allows(ann) || g.Allows(bob) || verdict() != "refused" || g.Status().Err != nil || len(g.ACL().Peers) != 1 {
				t.Errorf("open %t: the list is not followed: %+v", c.open, g.Status())
			}

			log.Reset()
			for _, bad := range []script{
				func() (*http.Response, error) { return nil, errDown },
				func() (*http.Response, error) { return answer(404, ""), nil },
				func() (*http.Response, error) {
					return answer(200, "<html/>", "Content-Type: text/html"), nil
				},
				func() (*http.Response, error) { return answer(200, xacl(peer(carol, ""), "<peer>?</peer>")), nil },
				func() (*http.Response, error) { return answer(200, ""), nil },
			} {
				resp.Store(bad)
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				if !g.Allows(ann) || g.Allows(bob) || verdict() != "refused" || g.Status().Err == nil {
					t.Errorf("open %t: the last good list does not count: %+v", c.open, g.Status())
				}
			}
			if !strings.Contains(log.String(), "the last good one counts") || strings.Contains(log.String(), "is let in") {
				t.Errorf("log %s", &log)
			}
		})
	}
}

func TestGuardFollowsTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body, changes := xacl(peer(ann, "")), 0
		g := newGuard(t, GuardConfig{
			URI: "http://one/acl", Changed: func() { changes++ },
			Client: servers(func(*http.Request) (*http.Response, error) { return answer(200, body), nil }).client(),
		})
		ready(t, g)
		step := func(text string, want int) {
			body = text
			g.Refresh()
			synctest.Wait()
			if changes != want {
				t.Errorf("%d changes, want %d, after %s", changes, want, text)
			}
		}
		step(xacl(peer(ann, "")), 1)
		step(xacl(peer(ann, ""))+"\n", 1) // says the same
		step(xacl(peer(ann, `access="deny"`)), 2)
		if g.Allows(ann) {
			t.Error("still let in")
		}
		step(xacl("<grantAll>true</grantAll>"), 3)
		if !g.Allows(carol) {
			t.Error("not let in")
		}
		step(xacl("<description>closed</description>"), 4)
		if g.Allows(carol) || g.ACL().Description != "closed" {
			t.Errorf("%+v", g.ACL())
		}
		g.ACL().GrantAll = true // a copy
		if g.Allows(carol) {
			t.Error("the copy is in use")
		}
	})
}

func TestGuardAgainstHostileLists(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"huge":     {xacl(strings.Repeat(" ", MaxDocument)), ErrSize},
		"entities": {`<!DOCTYPE jxta:XACL [<!ENTITY a "true">]><jxta:XACL><grantAll>&a;</grantAll></jxta:XACL>`, xmldoc.ErrSyntax},
		"deep":     {strings.Repeat("<jxta:XACL>", 1000), xmldoc.ErrLimit},
	} {
		uri := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.body) })
		g := newGuard(t, GuardConfig{URI: uri})
		ready(t, g)
		if err := g.Status().Err; !errors.Is(err, c.want) || g.Allows(ann) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestGuardDoesNotAllocate(t *testing.T) {
	g := &Guard{}
	if _, err := g.accept(0, document{body: file(t, "xacl.xml")}); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { g.Allows(ann); g.Allows(carol) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
