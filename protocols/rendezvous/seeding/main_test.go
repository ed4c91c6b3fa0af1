package seeding

import (
	"math/rand/v2"
	"testing"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seeded is a source of chance that repeats itself.
func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, n)) }

// addresses parses a list for comparison.
func addresses(list ...string) []endpoint.Address {
	var out []endpoint.Address
	for _, s := range list {
		out = append(out, endpoint.MustParseAddress(s))
	}
	return out
}
