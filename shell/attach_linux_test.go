package shell_test

import (
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/terminal/terminaltest"
)

// TestAttachInteractively: somebody sits at one terminal, and at another one the
// peer's owner looks on.
func TestAttachInteractively(t *testing.T) {
	runtimeFolder(t)
	first := sit(t, t.TempDir(), quiet("--quic", "off")...)
	at := func(s *terminaltest.Session, prompt string) {
		s.Until(prompt, func(v *terminaltest.Screen) bool { return strings.HasSuffix(v.Text(), prompt) })
	}
	s := terminaltest.Start(t, 24, 100, program(t, t.TempDir(), "--attach", "ann"))
	at(s, "ann>")
	s.Type("x = 'kept'; whoa\t \r") // completion
	has(s, "peer id:     urn:jxta:cbid-")
	s.Type("echo $x\r")
	has(s, "\nkept\n")
	s.Type("echo 'one\r")
	has(s, "\n  ...>")
	s.Type("two'\r")
	has(s, "\none\ntwo\n")
	s.Type("!1\r")
	has(s, "\nann> !1\necho $x\nkept\n")
	s.Type("sleep 1h\r")
	running(s)
	s.Type("\x03")
	has(s, "# shell - interrupted\n")
	s.Type("talk ann hello\r")
	has(s, "# talk - ann to ann> hello\n")
	has(first, "# talk - ann to ann> hello\n")
	s.Type("newpgrp -j crew\r")
	at(s, "ann crew>")
	has(first, "\nJXTA>") // which has a current group of its own
	s.Type("nix\r")
	has(s, `there is no command "nix"`)

	second := terminaltest.Start(t, 24, 100, program(t, t.TempDir(), "--attach", "ann"))
	at(second, "ann>")
	second.Type("exit 4\r")
	if status := second.Wait(); status != 4 {
		t.Errorf("status %d after exit 4", status)
	}
	status, out, _ := run(t, "", "--attach", "ann", "-c", "groups -q | wc -l; chpgrp | grep crew | wc -l")
	if status != 0 || out != "1\n1\n" {
		t.Errorf("status %d, %q: the group is not the peer's", status, out)
	}
	if status, _, errs := run(t, "", "down", "ann"); status != 4 || !strings.Contains(errs, "ends when its user says so") {
		t.Errorf("down at an interactive shell: %d, %q", status, errs)
	}

	first.Type("\x04")
	if status := first.Wait(); status != 0 {
		t.Errorf("the peer: status %d", status)
	}
	has(s, "# shell - the peer ends\n")
	s.Type("\rwhoami\r")
	if status := s.Wait(); status != 3 || !strings.Contains(s.Text(), `no peer called "ann" runs`) {
		t.Errorf("status %d\n%s", status, s.Text())
	}
}
