// Package docs_test holds the tests that keep the documents and the shape of
// the tree true.
package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/juxta-p2p/juxta/"

// layers are the top-level folders, lowest first. A package may import from its
// own layer and from those below.
var layers = []string{"core", "advertisements", "protocols", "peergroup", "shell", "docs"}

// modules are packages of protocols that are whole modules, written on what the
// layer above exports, as those of applications are. They may import from that
// layer, and nothing of the layers up to it may import them.
var modules = map[string]string{
	"protocols/content": "peergroup",
}

// homes are libraries that only one package may import, so that their types
// and their traps stay in one place.
var homes = map[string][]string{
	"github.com/beevik/etree":       {"core/xmldoc"},
	"github.com/hashicorp/mdns":     {"core/lan"},
	"github.com/miekg/dns":          {"core/lan"},
	"github.com/c-bata/go-prompt":   {"shell"},
	"go.etcd.io/bbolt":              {"advertisements/store"},
	"github.com/quic-go/quic-go":    {"core/transport/quic"},
	"github.com/huin/goupnp":        {"core/nat"},
	"github.com/jackpal/go-nat-pmp": {"core/nat"},
}

// source is a Go file as far as these tests care.
type source struct {
	dir     string // relative to the root, with slashes
	name    string
	pkg     string
	comment bool // has a package comment
	test    bool
	imports []string
	funcs   []string
}

func sources(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	var all []source
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n == "testdata" || n == ".git" {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
				return filepath.SkipDir // a module of its own
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		s := source{
			dir: filepath.ToSlash(rel), name: d.Name(), pkg: f.Name.Name, comment: f.Doc != nil,
			test: strings.HasSuffix(d.Name(), "_test.go"),
		}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, p)
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				s.funcs = append(s.funcs, fn.Name.Name)
			}
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// layer is where a folder stands: that of its top, but a module stands above the
// layer that it is written on.
func layer(dir string) float64 {
	const above = 0.5
	for folder, on := range modules {
		if within(dir, folder) {
			return float64(slices.Index(layers, on)) + above
		}
	}
	top, _, _ := strings.Cut(dir, "/")
	return float64(slices.Index(layers, top))
}

// within reports whether dir is folder or lies in it.
func within(dir, folder string) bool {
	return dir == folder || strings.HasPrefix(dir, folder+"/")
}

// upward lists the imports that break the rules.
func upward(all []source) (bad []string) {
	for _, s := range all {
		if layer(s.dir) < 0 {
			bad = append(bad, fmt.Sprintf("%s/%s: no layer has this folder", s.dir, s.name))
			continue
		}
		for _, imp := range s.imports {
			if rel, ok := strings.CutPrefix(imp, module); ok && layer(rel) > layer(s.dir) {
				bad = append(bad, fmt.Sprintf("%s/%s imports %s: imports go downward, %s", s.dir, s.name, rel, strings.Join(layers, " below ")))
			}
			for lib, allowed := range homes {
				if within(imp, lib) && !slices.ContainsFunc(allowed, func(a string) bool { return within(s.dir, a) }) {
					bad = append(bad, fmt.Sprintf("%s/%s imports %s: only %s may", s.dir, s.name, lib, strings.Join(allowed, ", ")))
				}
			}
		}
	}
	return bad
}

func TestImportsGoDownward(t *testing.T) {
	all := sources(t)
	for _, b := range upward(all) {
		t.Error(b)
	}
	// The rules must speak of what exists, or they guard nothing.
	for _, l := range layers {
		if !slices.ContainsFunc(all, func(s source) bool { return within(s.dir, l) }) {
			t.Errorf("the layer %s has no Go file", l)
		}
	}
	for dir, on := range modules {
		if !slices.ContainsFunc(all, func(s source) bool {
			return within(s.dir, dir) && slices.ContainsFunc(s.imports, func(i string) bool { return strings.HasPrefix(i, module+on) })
		}) {
			t.Errorf("%s is no module written on %s", dir, on)
		}
	}
	for lib, allowed := range homes {
		if !slices.ContainsFunc(all, func(s source) bool {
			return within(s.dir, allowed[0]) && slices.ContainsFunc(s.imports, func(i string) bool { return within(i, lib) })
		}) {
			t.Errorf("%s is not imported by %s", lib, allowed[0])
		}
	}
}

func TestTheLayeringTestBites(t *testing.T) {
	for _, s := range []source{
		{dir: "core/id", name: "x.go", imports: []string{module + "protocols/pipe"}},
		{dir: "protocols/pipe", name: "x.go", imports: []string{module + "peergroup"}},
		{dir: "advertisements", name: "x_test.go", imports: []string{module + "shell/lang"}},
		{dir: "protocols/pipe", name: "x.go", imports: []string{"github.com/beevik/etree"}},
		{dir: "peergroup", name: "x.go", imports: []string{"github.com/hashicorp/mdns"}},
		{dir: "attic", name: "x.go"},
		{dir: "protocols/content", name: "x.go", imports: []string{module + "shell/lang"}},
		{dir: "protocols/content/deeper", name: "x.go", imports: []string{module + "docs/examples/greet"}},
		{dir: "protocols/contents", name: "x.go", imports: []string{module + "peergroup"}},
		{dir: "protocols/pipe", name: "x.go", imports: []string{module + "protocols/content"}},
		{dir: "peergroup", name: "x.go", imports: []string{module + "protocols/content"}},
	} {
		if len(upward([]source{s})) != 1 {
			t.Errorf("%s importing %v is not reported", s.dir, s.imports)
		}
	}
	for _, fine := range []source{
		{dir: "shell/commands", name: "x.go", imports: []string{module + "peergroup", module + "core/id", module + "protocols/content", "fmt"}},
		{dir: "protocols/content", name: "x.go", imports: []string{module + "peergroup", module + "protocols/socket"}},
	} {
		if bad := upward([]source{fine}); bad != nil {
			t.Errorf("reported without reason: %v", bad)
		}
	}
}

func TestEveryPackageHasOneComment(t *testing.T) {
	for dir, n := range packageComments(sources(t)) {
		if n != 1 {
			t.Errorf("%s has %d package comments, want 1", dir, n)
		}
	}
}

func packageComments(all []source) map[string]int {
	count := map[string]int{}
	for _, s := range all {
		if s.test {
			continue
		}
		count[s.dir] += 0
		if s.comment {
			count[s.dir]++
		}
	}
	return count
}

func TestThePackageCommentTestBites(t *testing.T) {
	got := packageComments([]source{{dir: "a"}, {dir: "b", comment: true}, {dir: "b", name: "y.go", comment: true}, {dir: "c", test: true}})
	if got["a"] != 0 || got["b"] != 2 || len(got) != 2 {
		t.Fatalf("counted %v", got)
	}
}
