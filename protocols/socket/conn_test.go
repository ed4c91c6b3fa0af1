package socket

import (
	"net"
	"testing"

	"golang.org/x/net/nettest"
)

func TestNetTest(t *testing.T) {
	for _, over := range []string{"memory", "tcp", "tls", "secure"} {
		t.Run(over, func(t *testing.T) {
			a, b := pair(t, over)
			adv := unicast("nettest")
			if over == "secure" || over == "tls" {
				adv.Type = "JxtaUnicastSecure"
			}
			l := a.listen(adv, ListenConfig{})
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				x, err := b.s.Dial(t.Context(), adv)
				if err != nil {
					return nil, nil, nil, err
				}
				y := l.accept(t)
				return x, y, func() { _ = x.Close(); _ = y.Close() }, nil
			})
		})
	}
}
