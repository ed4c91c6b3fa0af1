package interp

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/juxta-p2p/juxta/shell/lang"
)

// Variable is a name for an object.
type Variable struct {
	Name        string
	Class       string // what kind of thing it is, for example "pipe"
	Description string // one line that tells it from others
	Object      any
	Fixed       bool // set by the shell; commands of the user cannot remove or replace it
}

// Variables is the environment of a session. It is safe for concurrent use.
type Variables struct {
	mu    sync.Mutex
	byKey map[string]Variable
	next  int // number of the next env<N>
}

// Get returns the variable of that name.
func (v *Variables) Get(name string) (Variable, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, ok := v.byKey[name]
	return x, ok
}

// Set stores a variable under its name, replacing what was there. The error says
// that the name is wrong, belongs to the shell, or that there are too many.
func (v *Variables) Set(x Variable) error {
	if !lang.IsName(x.Name) {
		return fmt.Errorf("interp: %q cannot name a variable", x.Name)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	old, ok := v.byKey[x.Name]
	switch {
	case ok && old.Fixed && !x.Fixed:
		return fmt.Errorf("interp: %s belongs to the shell", x.Name)
	case !ok && len(v.byKey) >= maxVariables:
		return fmt.Errorf("interp: there are already %d variables", len(v.byKey))
	}
	if v.byKey == nil {
		v.byKey = map[string]Variable{}
	}
	v.byKey[x.Name] = x
	return nil
}

// Keep returns what puts back the variables as they are now. What was made since then, and
// no variable holds any more, is closed by it.
func (v *Variables) Keep() (restore func()) {
	v.mu.Lock()
	before := maps.Clone(v.byKey)
	v.mu.Unlock()
	return func() {
		v.mu.Lock()
		after := v.byKey
		v.byKey = before
		v.mu.Unlock()
		for _, x := range after {
			if !x.Fixed && !v.Holds(x.Object) {
				CloseObject(x.Object)
			}
		}
	}
}

// Remove forgets a name. The object lives on, and stays open.
func (v *Variables) Remove(name string) (Variable, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	x, ok := v.byKey[name]
	switch {
	case !ok:
		return Variable{}, fmt.Errorf("interp: no variable is called %q", name)
	case x.Fixed:
		return Variable{}, fmt.Errorf("interp: %s belongs to the shell", name)
	}
	delete(v.byKey, name)
	return x, nil
}

// All returns the variables sorted by name; numbers inside names count as numbers.
func (v *Variables) All() []Variable {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := make([]Variable, 0, len(v.byKey))
	for _, x := range v.byKey {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b Variable) int { return compareNames(a.Name, b.Name) })
	return all
}

// Number removes the variables prefix0, prefix1, … of an earlier listing.
func (v *Variables) Number(prefix string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name := range v.byKey {
		if digits, ok := strings.CutPrefix(name, prefix); ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
			delete(v.byKey, name)
		}
	}
}

// fresh returns a free name env<N>.
func (v *Variables) fresh() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		name := fmt.Sprintf("env%d", v.next)
		v.next++
		if _, ok := v.byKey[name]; !ok {
			return name
		}
	}
}

// closeAll closes the objects that can be closed, each once, and forgets all.
func (v *Variables) closeAll() {
	v.mu.Lock()
	all := v.byKey
	v.byKey = nil
	v.mu.Unlock()
	var closed []any
	for _, x := range all {
		if x.Fixed || x.Object == nil || !reflect.TypeOf(x.Object).Comparable() || slices.Contains(closed, x.Object) {
			continue
		}
		closed = append(closed, x.Object)
		_ = CloseObject(x.Object) // the session is over; nobody can act on it
	}
}

// CloseObject closes an object that can be closed, and reports whether it could.
func CloseObject(object any) bool {
	switch c := object.(type) {
	case io.Closer:
		_ = c.Close()
	case interface{ Close() }:
		c.Close()
	default:
		return false
	}
	return true
}

// Holds reports whether a variable holds the object.
func (v *Variables) Holds(object any) bool {
	if object == nil || !reflect.TypeOf(object).Comparable() {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, x := range v.byKey {
		if x.Object != nil && reflect.TypeOf(x.Object).Comparable() && x.Object == object {
			return true
		}
	}
	return false
}

// compareNames orders peer2 before peer10.
func compareNames(a, b string) int {
	aw, an := splitNumber(a)
	bw, bn := splitNumber(b)
	if aw == bw && len(an) != len(bn) {
		return len(an) - len(bn)
	}
	return strings.Compare(a, b)
}

func splitNumber(s string) (word, number string) {
	word = strings.TrimRight(s, "0123456789")
	return word, s[len(word):]
}
