package content

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/juxta-p2p/juxta/core/message"
)

func TestMain(m *testing.M) {
	message.Poison(true) // who reads what was released finds out
	goleak.VerifyTestMain(m)
}
