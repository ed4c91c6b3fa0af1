package limits

import (
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/lan"
	"github.com/juxta-p2p/juxta/core/transport/http"
	"github.com/juxta-p2p/juxta/core/transport/multicast"
	"github.com/juxta-p2p/juxta/core/transport/quic"
	"github.com/juxta-p2p/juxta/core/transport/tcp"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/access"
	"github.com/juxta-p2p/juxta/peergroup/governance"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/protocols/content"
	"github.com/juxta-p2p/juxta/protocols/diagnose"
	"github.com/juxta-p2p/juxta/protocols/direct"
	"github.com/juxta-p2p/juxta/protocols/discovery"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/protocols/relay"
	"github.com/juxta-p2p/juxta/protocols/rendezvous"
	"github.com/juxta-p2p/juxta/protocols/rendezvous/peerview"
	"github.com/juxta-p2p/juxta/protocols/resolver"
	"github.com/juxta-p2p/juxta/protocols/routing"
	"github.com/juxta-p2p/juxta/protocols/secure"
	"github.com/juxta-p2p/juxta/protocols/socket"
)

var update = flag.Bool("update", false, "make the table anew, with the counters that it has")

const (
	root   = "../.."
	module = "github.com/juxta-p2p/juxta/"
)

// TestTable holds the table to the limits.go of all packages.
func TestTable(t *testing.T) {
	counters := map[string][]string{}
	for _, l := range All() {
		counters[l.Package+"."+l.Name] = l.Counters
	}
	s := newSource()
	var want strings.Builder
	for _, dir := range []string{"core", "advertisements", "protocols", "peergroup"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "limits.go" {
				return err
			}
			pkg, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			all, err := s.limits(filepath.ToSlash(pkg))
			for _, l := range all {
				key := l.Package + "." + l.Name
				l.Counters = counters[key]
				delete(counters, key)
				want.WriteString(l.line())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile("table.tsv", []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(strings.Split(table, "\n"), strings.Split(want.String(), "\n")); d != "" {
		t.Errorf("table.tsv: - is, + should be; go test -update makes it anew\n%s", d)
	}
	if n := len(All()); n < 300 {
		t.Errorf("%d limits", n)
	}
}

// TestSource: the scanner reads what it should, and says when it cannot.
func TestSource(t *testing.T) {
	s := newSource()
	all, err := s.limits("core/endpoint")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Limit{
		{Package: "core/endpoint", Name: "MaxAddress", Value: "1 KiB", Reason: "bounds the text of an address in octets: a peer ID, a group prefix, a service name and a pipe ID fit several times"},
		{Package: "core/endpoint", Name: "defaultIdle", Value: "15m", Reason: "is how long an unused link stays open, as in JXSE 2.5"},
		{Package: "core/endpoint", Name: "maxPooledBuffer", Value: "256 KiB", Reason: "keeps rare huge messages from staying in memory"},
	} {
		if !slices.ContainsFunc(all, func(l Limit) bool { return cmp.Equal(l, want) }) {
			t.Errorf("no %+v among %+v", want, all)
		}
	}
	if _, err := s.limits("core/nowhere"); err == nil {
		t.Error("no error for a package that is not there")
	}
}

// TestCounters: the counters of the table are metrics, as the names of their services are in
// peergroup.Peer.Metrics.
func TestCounters(t *testing.T) {
	known := map[string]bool{"rendezvous.clients": true, "peerview.size": true}
	for service, stats := range map[string]any{
		"endpoint": endpoint.Stats{}, "tcp": tcp.Stats{}, "quic": quic.Stats{}, "http": http.Stats{}, "multicast": multicast.Stats{}, "lan": lan.Stats{},
		"store": store.Stats{}, "index": store.IndexStats{}, "copies": store.IndexStats{}, "routing": routing.Stats{}, "why": diagnose.Stats{},
		"secure": secure.Stats{}, "direct": direct.Stats{}, "relay": relay.ServerStats{}, "relayclient": relay.ClientStats{},
		"rendezvous": rendezvous.Stats{}, "peerview": peerview.Stats{}, "resolver": resolver.Stats{}, "discovery": discovery.Stats{},
		"pipe": pipe.Stats{}, "socket": socket.Stats{}, "governance": governance.Stats{}, "membership": membership.Stats{}, "access": access.Stats{},
		"calls": peergroup.CallStats{}, "content": content.Stats{},
	} {
		for f := range reflect.TypeOf(stats).Fields() {
			known[service+"."+snake(f.Name)] = true
		}
	}
	counted := 0
	for _, l := range All() {
		for _, c := range l.Counters {
			counted++
			if !known[c] {
				t.Errorf("%s.%s: there is no metric %s", l.Package, l.Name, c)
			}
		}
	}
	if counted < 100 {
		t.Errorf("%d counters", counted)
	}
}

// snake writes LinksOpened as links_opened, as metrics are named.
func snake(name string) string {
	name = regexp.MustCompile(`([A-Z]+)([A-Z][a-z])`).ReplaceAllString(name, "${1}_$2")
	return strings.ToLower(regexp.MustCompile(`([a-z0-9])([A-Z])`).ReplaceAllString(name, "${1}_$2"))
}

// source reads the constants of packages from their text.
type source struct {
	files    *token.FileSet
	packages map[string]*types.Package
}

// Constants of the standard library in limits.
const (
	timeSource = `package time; type Duration int64
		const (Nanosecond Duration = 1; Microsecond = 1000*Nanosecond; Millisecond = 1000*Microsecond; Second = 1000*Millisecond; Minute = 60*Second; Hour = 60*Minute)`
	mathSource = `package math; const (MaxUint8 = 1<<8-1; MaxInt16 = 1<<15-1; MaxUint16 = 1<<16-1; MaxInt32 = 1<<31-1; MaxUint32 = 1<<32-1; MaxInt64 = 1<<63-1)`
)

func newSource() *source {
	return &source{files: token.NewFileSet(), packages: map[string]*types.Package{}}
}

// Import implements types.Importer. Packages that define no limits are empty.
func (s *source) Import(path string) (*types.Package, error) {
	if p := s.packages[path]; p != nil {
		return p, nil
	}
	text := map[string]string{"time": timeSource, "math": mathSource, "crypto/sha256": "package sha256; const Size = 32"}[path]
	local, ours := strings.CutPrefix(path, module)
	switch {
	case ours:
		_, p, err := s.check(local)
		return p, err
	case text == "":
		text = "package " + strings.ReplaceAll(path[strings.LastIndex(path, "/")+1:], "-", "_")
	}
	f, err := parser.ParseFile(s.files, path, text, 0)
	if err != nil {
		return nil, err
	}
	return s.types(path, []*ast.File{f}), nil
}

// types checks what it can: what comes from elsewhere is unknown, constants are not.
func (s *source) types(path string, files []*ast.File) *types.Package {
	cfg := types.Config{Importer: s, IgnoreFuncBodies: true, Error: func(error) {}}
	p, _ := cfg.Check(path, s.files, files, nil)
	s.packages[path] = p
	return p
}

func (s *source) check(pkg string) ([]*ast.File, *types.Package, error) {
	dir := filepath.Join(root, filepath.FromSlash(pkg))
	b, err := build.ImportDir(dir, 0)
	if err != nil {
		return nil, nil, err
	}
	var files []*ast.File
	for _, name := range b.GoFiles {
		f, err := parser.ParseFile(s.files, filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	return files, s.types(module+pkg, files), nil
}

// limits returns those of a package.
func (s *source) limits(pkg string) (all []Limit, err error) {
	files, p, err := s.check(pkg)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if filepath.Base(s.files.Position(f.Pos()).Filename) != "limits.go" {
			continue
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			doc := text(g.Doc)
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for _, name := range v.Names {
					if own := text(v.Doc); own != "" {
						doc = own
					} else if v.Comment != nil && !mentions(doc, name.Name) {
						doc = text(v.Comment)
					}
					if !bounds(name.Name, doc) {
						continue
					}
					c, ok := p.Scope().Lookup(name.Name).(*types.Const)
					if !ok || c.Val().Kind() == constant.Unknown {
						return nil, fmt.Errorf("%s.%s: no value", pkg, name.Name)
					}
					all = append(all, Limit{Package: pkg, Name: name.Name, Value: value(c, doc), Reason: reason(name.Name, doc)})
				}
			}
		}
	}
	return all, nil
}

func text(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

func mentions(doc, name string) bool { return regexp.MustCompile(`\b` + name + `\b`).MatchString(doc) }

// bounds reports whether a constant is a limit: its name or its comment says so.
func bounds(name, doc string) bool {
	for _, start := range []string{"max", "Max", "default", "Default", "most"} {
		if strings.HasPrefix(name, start) {
			return true
		}
	}
	return mentions(doc, name) && (strings.Contains(doc, "bound") || strings.Contains(doc, "at most"))
}

// reason is the first sentence, without the name if it begins with it.
func reason(name, doc string) string {
	if !mentions(doc, name) && doc != "" && strings.ToUpper(doc[:1]) == doc[:1] && strings.HasSuffix(doc, ":") {
		return ""
	}
	first, _, _ := strings.Cut(doc, ". ")
	return strings.TrimPrefix(strings.TrimSuffix(first, "."), name+" ")
}

// value writes a constant for people.
func value(c *types.Const, doc string) string {
	n, exact := constant.Int64Val(constant.ToInt(c.Val()))
	switch {
	case !exact:
		return c.Val().String()
	case strings.HasSuffix(c.Type().String(), "time.Duration"):
		s := time.Duration(n).String()
		if strings.HasSuffix(s, "m0s") {
			s = s[:len(s)-2]
		}
		if strings.HasSuffix(s, "h0m") {
			s = s[:len(s)-2]
		}
		return s
	}
	const kibi = 1 << 10
	first, _, _ := strings.Cut(doc, ". ")
	const large = 64 * kibi
	octets := strings.Contains(first, "octets") && !strings.Contains(first, c.Name()+"Bytes") // which is the one in octets
	if !octets && !(strings.Contains(first, "memory") && n >= large) && !regexp.MustCompile(`Bytes|Octets|Size|Text|Document|Message$`).MatchString(c.Name()) {
		return fmt.Sprint(n)
	}
	unit := ""
	for _, u := range []string{" KiB", " MiB", " GiB"} {
		if n < kibi || n%kibi != 0 {
			break
		}
		n, unit = n/kibi, u
	}
	return fmt.Sprint(n) + unit
}
