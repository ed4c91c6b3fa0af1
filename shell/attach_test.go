package shell

import "testing"

// TestInterruptible: Ctrl-C ends what runs, or what begins in a moment, and
// nothing later.
func TestInterruptible(t *testing.T) {
	var i interruptible
	ended := 0
	cancel := func() { ended++ }
	end := i.begin(cancel)
	i.interrupt()
	if ended != 1 {
		t.Errorf("the command that runs: %d", ended)
	}
	end()
	i.interrupt()
	if ended != 1 {
		t.Errorf("a command that has ended is ended again")
	}
	end = i.begin(cancel)
	if ended != 2 {
		t.Errorf("a command that begins just then goes on")
	}
	end()
	end = i.begin(cancel)
	if ended != 2 {
		t.Errorf("one Ctrl-C ends two commands")
	}
	end()
	i.interrupt()
	i.early = i.early.Add(-2 * interruptHolds)
	i.begin(cancel)()
	if ended != 2 {
		t.Errorf("a Ctrl-C of long ago ends a command")
	}
}
