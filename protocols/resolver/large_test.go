package resolver_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// Index messages may be much larger than other documents, and arrive as they were
// sent, however repetitive.
func TestLargeIndexMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memory.New(memory.Config{Latency: time.Millisecond})
		a, b := newNode(t, net, "a", nodeConfig{}), newNode(t, net, "b", nodeConfig{})
		if _, err := a.ep.Dial(t.Context(), b.ep.Addresses()[0]); err != nil {
			t.Fatal(err)
		}
		var got string
		_, err := b.res.Register(t.Context(), "name", resolver.Handler{Index: func(_ context.Context, x *resolver.Index) { got = x.Payload }})
		if err != nil {
			t.Fatal(err)
		}
		var list strings.Builder
		for i := range 50_000 {
			fmt.Fprintf(&list, "<Entry>é & %d</Entry>\n", i)
		}
		for what, payload := range map[string]string{
			"a list":     list.String() + ".",
			"repetitive": "<" + strings.Repeat("x", 3<<20) + ">",
		} {
			if err := a.res.SendIndex(t.Context(), b.id, &resolver.Index{Handler: "name", Payload: payload}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if got != payload {
				t.Errorf("%s: %d octets arrive as %d: %+v", what, len(payload), len(got), b.res.Stats())
			}
		}
		too := strings.Repeat("<", resolver.MaxIndex/4)
		if err := a.res.SendIndex(t.Context(), b.id, &resolver.Index{Handler: "name", Payload: too}); err == nil {
			t.Error("sent although it is too large when printed")
		}
	})
}
