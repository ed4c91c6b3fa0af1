package console_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/transport/memory"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/shell/console"
	"github.com/juxta-p2p/juxta/shell/netmap"
)

// screenshots is a folder for pictures of the page, if somebody wants to see them.
const screenshots = "JUXTA_SCREENSHOTS"

// browser is a headless Chromium, spoken to over the pipe of its debugging protocol.
type browser struct {
	t       *testing.T
	out     *os.File
	in      *bufio.Reader
	session string
	id      int
}

// open starts the browser, and ends it with the test.
func open(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("Chromium is not installed; the page is not tried in a browser")
	}
	toR, toW, err1 := os.Pipe()
	fromR, fromW, err2 := os.Pipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	home := t.TempDir()
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-default-apps", "--disable-sync", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--user-data-dir="+home, "--remote-debugging-pipe", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.ExtraFiles = []*os.File{toR, fromW}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = toR.Close(), fromW.Close()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_, _ = toW.Close(), fromR.Close()
	})
	if err := fromR.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, out: toW, in: bufio.NewReader(fromR)}
	target := b.call("Target.createTarget", map[string]any{"url": "about:blank"})["targetId"]
	b.session, _ = b.call("Target.attachToTarget", map[string]any{"targetId": target, "flatten": true})["sessionId"].(string)
	b.call("Page.enable", nil)
	b.call("Runtime.enable", nil)
	return b
}

// call runs a method of the debugging protocol.
func (b *browser) call(method string, params map[string]any) map[string]any {
	b.t.Helper()
	b.id++
	message := map[string]any{"id": b.id, "method": method, "params": params}
	if params == nil {
		message["params"] = map[string]any{}
	}
	if b.session != "" && !strings.HasPrefix(method, "Target.") {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err == nil {
		_, err = b.out.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	for {
		line, err := b.in.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		var answer struct {
			ID     int
			Method string
			Params struct {
				ExceptionDetails struct{ Text string }
			}
			Result map[string]any
			Error  struct{ Message string }
		}
		if err := json.Unmarshal(line[:len(line)-1], &answer); err != nil {
			b.t.Fatal(err)
		}
		switch {
		case answer.Method == "Runtime.exceptionThrown":
			b.t.Errorf("the page fails: %s", line)
		case answer.ID != b.id:
		case answer.Error.Message != "":
			b.t.Fatalf("%s: %s", method, answer.Error.Message)
		default:
			return answer.Result
		}
	}
}

// eval returns the value of an expression in the page.
func (b *browser) eval(expression string) any {
	b.t.Helper()
	r := b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if r["exceptionDetails"] != nil {
		b.t.Fatalf("%s: %v", expression, r["exceptionDetails"])
	}
	v, _ := r["result"].(map[string]any)
	return v["value"]
}

// await waits until an expression is true, and returns how long that took.
func (b *browser) await(expression string, most time.Duration) time.Duration {
	b.t.Helper()
	begun := time.Now()
	for b.eval(expression) != true {
		if time.Since(begun) > most {
			b.t.Fatalf("after %v it is not so: %s\n%v", most, expression, b.eval("document.body.innerText"))
		}
		b.eval("new Promise(r => setTimeout(r, 50))")
	}
	return time.Since(begun)
}

// size sets how large and how dark the surroundings of the page are.
func (b *browser) size(width, height int, mobile bool, scheme string) {
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile})
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

// picture keeps a screenshot, if that is asked for.
func (b *browser) picture(name string) {
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	data, _ := b.call("Page.captureScreenshot", map[string]any{"format": "png"})["data"].(string)
	png, err := base64.StdEncoding.DecodeString(data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// TestInABrowser opens the page of a rendezvous with some edges, clicks a peer and asks why,
// kills a peer, and looks back.
func TestInABrowser(t *testing.T) {
	b := open(t)
	network := memory.New(memory.Config{})
	begin := func(name, host string, roles peergroup.Roles) *peergroup.Peer {
		p, err := peergroup.Start(t.Context(), peergroup.Config{
			Name: name, Roles: roles, NoLAN: true, Seeds: []string{"mem://0"},
			Transports: []endpoint.Transport{network.Transport(memory.TransportConfig{Name: host})},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	rdv := begin("rendezvous", "0", peergroup.Roles{Rendezvous: true})
	names := []string{"ann", "bob", "carol", "<img src=x onerror=alert(1)>", "名前 and emoji 🙂", "a very long name that has to be cut somewhere"}
	peers := make([]*peergroup.Peer, len(names))
	var starting sync.WaitGroup
	for i, name := range names {
		starting.Go(func() { peers[i] = begin(name, fmt.Sprint(i+1), peergroup.Roles{}) })
	}
	starting.Wait()
	if t.Failed() {
		return
	}
	// The oldest map that the page keeps is its first: it must have everybody, and what
	// connects them, since the drawing has only those that are connected.
	leases := func() (n int) {
		for _, e := range netmap.Take(rdv).Edges {
			if e.Kind == netmap.KindLease {
				n++
			}
		}
		return n
	}
	for leases() < len(names) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("not everybody has a lease")
		}
	}
	page, err := console.Start(console.Config{
		Map: func() *netmap.Map { return netmap.Take(rdv) },
		Why: func(ctx context.Context, p id.Peer) string { return rdv.Why(ctx, p, "ann").Why },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(page.Close)
	b.size(1280, 860, false, "light")
	b.call("Page.navigate", map[string]any{"url": page.URL()})
	b.await(`document.querySelectorAll("#nodes g").length === 7 && document.querySelectorAll("#edges line.lease").length === 6`, 20*time.Second)
	if at := b.eval("location.href"); strings.Contains(fmt.Sprint(at), "#") {
		t.Errorf("the token stays in the address: %v", at)
	}
	if n := b.eval(`document.querySelectorAll("img, #peers script").length`); n != 0.0 {
		t.Errorf("%v elements were made of names", n)
	}
	b.await(`heat <= 0`, 20*time.Second) // all have found their places
	b.picture("light")

	click := func(p *peergroup.Peer) {
		b.eval(fmt.Sprintf(`document.querySelector('#nodes [data-peer="%s"] circle').dispatchEvent(new MouseEvent("click", {bubbles: true}))`, p.ID()))
	}
	click(peers[0])
	b.await(`document.getElementById("about-name").textContent === "ann" && !document.getElementById("about").hidden`, 5*time.Second)
	b.eval(`document.getElementById("why").click()`)
	b.await(`document.getElementById("report").textContent.includes("ann") || document.getElementById("report").textContent.includes("reach")`, 20*time.Second)
	b.picture("why")

	if !network.Crash("2") {
		t.Fatal("bob cannot be killed")
	}
	took := b.await(fmt.Sprintf(`!document.querySelector('#nodes [data-peer="%s"]')`, peers[1].ID()), 3*time.Second)
	t.Logf("a killed peer has vanished after %v", took)
	b.await(`[...document.querySelectorAll("#events li")].some(e => e.textContent.includes("bob"))`, 5*time.Second)

	slide := func(seconds int) {
		b.eval(fmt.Sprintf(`{ const s = document.getElementById("slider"); s.value = -%d; s.dispatchEvent(new Event("input")); }`, seconds))
	}
	slide(600)
	b.await(fmt.Sprintf(`document.getElementById("moment").textContent === "10 min 0 s ago" && Boolean(document.querySelector('#nodes [data-peer="%s"]'))`, peers[1].ID()), 5*time.Second)
	slide(0)
	b.await(fmt.Sprintf(`document.getElementById("moment").textContent === "now" && !document.querySelector('#nodes [data-peer="%s"]')`, peers[1].ID()), 5*time.Second)

	b.await(`[...document.querySelectorAll("#edges title")].some(t => /^link mem:.*; in \d+, .*, now .*\/s; out \d+, /.test(t.textContent))`, 10*time.Second)
	b.await(`[...document.querySelectorAll("#links tr")].some(r => r.innerText.includes("lease") && /\d+m\d+s/.test(r.innerText))`, 5*time.Second)

	hide := func(hidden bool) {
		b.eval(fmt.Sprintf(`Object.defineProperty(document, "hidden", {value: %v, configurable: true}); document.dispatchEvent(new Event("visibilitychange"))`, hidden))
	}
	hide(true)
	if !network.Crash("3") {
		t.Fatal("carol cannot be killed")
	}
	carol := fmt.Sprintf(`document.querySelector('#nodes [data-peer="%s"]')`, peers[2].ID())
	b.await(fmt.Sprintf(`!live.edges.some(e => e.from === "%s")`, peers[2].ID()), 20*time.Second) // it is told
	if b.eval("Boolean("+carol+")") != true {
		t.Error("a page that is hidden draws")
	}
	hide(false)
	b.await("!"+carol, 5*time.Second)
	if n := b.eval(`[...document.querySelectorAll("#events li")].filter(e => e.textContent.includes("the link of carol") || e.textContent.includes("to carol")).length`); n != 1.0 {
		t.Errorf("that carol has gone is told %v times", n)
	}
	b.await(`heat <= 0`, 20*time.Second)

	b.size(390, 844, true, "dark")
	b.await(`matchMedia("(prefers-color-scheme: dark)").matches`, 5*time.Second)
	if wide := b.eval(`document.documentElement.scrollWidth > innerWidth`); wide == true {
		t.Error("on a phone the page is wider than the screen")
	}
	if back := b.eval(`getComputedStyle(document.body).backgroundColor`); back != "rgb(20, 23, 27)" {
		t.Errorf("in the dark the page is %v", back)
	}
	b.picture("phone")

	page.Close()
	b.await(`document.getElementById("state").textContent.includes("does not answer")`, 10*time.Second)
	b.picture("gone")
}
