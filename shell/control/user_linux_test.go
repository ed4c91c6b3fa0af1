package control_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/juxta-p2p/juxta/shell/control"
)

// TestOtherUsers: nobody else may connect. The rights of the folder and the socket
// keep others out, and so does the look at who connects, each alone.
func TestOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: other users cannot control a peer: acting as another user needs root")
	}
	run := runtimeFolder(t)
	program := filepath.Join(run, "stranger")
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	f, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, self); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(run, 0o755); err != nil {
		t.Fatal(err)
	}
	_, s, _ := serve(t, func(cfg *control.Config) { cfg.Private = false })
	connect := func(uid uint32) string {
		t.Helper()
		cmd := exec.Command(program)
		cmd.Dir, cmd.Env = "/", append(os.Environ(), strangerEnv+"="+s.Socket())
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(bytes.TrimSpace(out))
	}
	const nobody = 65534
	if got := connect(nobody); !strings.Contains(got, "permission denied") {
		t.Errorf("another user, by the rights: %s", got)
	}
	for _, path := range []string{filepath.Dir(filepath.Dir(s.Socket())), filepath.Dir(s.Socket()), s.Socket()} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if got := connect(nobody); got != "control: only the user of this peer may control it" {
		t.Errorf("another user, by name: %s", got)
	}
	if got := connect(0); got != "<nil>" {
		t.Errorf("the user: %s", got)
	}
}
