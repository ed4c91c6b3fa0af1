package peergroup

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Implementation is what a program has to provide a module specification with.
// The modules of a group are named by specification in advertisements that anybody
// can publish; what runs is always this, never code from elsewhere.
type Implementation struct {
	// Name tells people what it is, such as "example/echo". Required.
	Name string

	// New makes the module for one group. params is what the group's advertisement
	// says for the class of the module, the element Parm, or zero if that is nothing:
	// it comes from whoever made the group, so New must bear anything, and an error
	// refuses it. Required. New is called from several goroutines.
	New func(params xmldoc.Node) (Module, error)

	// Needs are the specifications of modules that must run in the group before
	// this one starts.
	Needs []id.ModuleSpec

	// Advertisements are the types of advertisements that the module publishes, by the
	// names of their root elements, so that what others publish is understood and
	// found here. nil means none. They are added to those of the peer when it starts.
	Advertisements map[string]func() advertisements.Advertisement

	// Description, Version, Creator and URI (where the text of the specification is)
	// go into the advertisement of the specification, which the members that run it
	// publish in the group. They may be empty.
	Description, Version, Creator, URI string
}

// Errors about the modules of a group; a [ModuleError] says of which.
var (
	// ErrNoImplementation: this program has nothing to provide the specification
	// with, or, of that of a group, nobody has told how it is implemented.
	ErrNoImplementation = errors.New("there is no implementation of it")
	// ErrNeeds: a module that it needs does not run in the group.
	ErrNeeds = errors.New("a module that it needs is not there")
	// ErrCycle: modules need each other in a circle, or a group is a module of itself.
	ErrCycle = errors.New("modules need each other in a circle")
	// ErrParams: the parameters are too large, or the module refuses them.
	ErrParams = errors.New("its parameters are refused")
	// ErrMandatory: the service list of a group lacks a service that every group has:
	// endpoint, resolver, membership or access.
	ErrMandatory = errors.New("a service that every group needs is missing")
	// ErrStandard: a standard service is not for a program to replace.
	ErrStandard = errors.New("it is a standard service")
	// ErrLoaded: a module of that class runs in the group already.
	ErrLoaded = errors.New("a module of that class runs already")
)

// ModuleError tells which module is at fault. Err is, or wraps, one of the errors
// of this package, or what the module itself said.
type ModuleError struct {
	Spec  id.ModuleSpec // zero if only the class is known
	Class id.ModuleClass
	Name  string          // of the implementation, if there is one
	Needs []id.ModuleSpec // with ErrNeeds those that are missing, with ErrCycle the circle
	Err   error
}

// Error names the module by its ID, which tells it everywhere.
func (e *ModuleError) Error() string {
	s := "module " + e.Spec.String()
	if e.Spec.IsZero() {
		s = "module class " + e.Class.String()
	}
	if e.Name != "" {
		s += " (" + e.Name + ")"
	}
	s += ": " + e.Err.Error()
	for i, n := range e.Needs {
		if i == 0 {
			s += ": "
		} else {
			s += ", "
		}
		s += n.String()
	}
	return s
}

// Unwrap returns Err.
func (e *ModuleError) Unwrap() error { return e.Err }

// checkImplementations refuses what cannot work in any group.
func checkImplementations(all map[id.ModuleSpec]Implementation) error {
	for spec, impl := range all {
		var err error
		switch {
		case spec.IsZero():
			err = errors.New("the specification is not set")
		case provided(spec) || spec.Class() == id.ClassPeerGroup:
			err = ErrStandard
		case impl.New == nil:
			err = errors.New("Implementation.New is not set")
		case impl.Name == "":
			err = errors.New("Implementation.Name is not set")
		}
		if err != nil {
			return fmt.Errorf("peergroup: Config.Implementations: %w", &ModuleError{Spec: spec, Class: spec.Class(), Name: impl.Name, Err: err})
		}
		for _, n := range impl.Needs {
			if _, ok := all[n]; !ok && !provided(n) {
				return fmt.Errorf("peergroup: Config.Implementations: %w", &ModuleError{
					Spec: spec, Class: spec.Class(), Name: impl.Name, Needs: []id.ModuleSpec{n}, Err: ErrNeeds,
				})
			}
		}
	}
	specs := slices.SortedFunc(maps.Keys(all), func(a, b id.ModuleSpec) int { return strings.Compare(a.String(), b.String()) })
	_, err := startOrder(specs, func(s id.ModuleSpec) []id.ModuleSpec { return all[s].Needs })
	if err != nil {
		return fmt.Errorf("peergroup: Config.Implementations: %w", err)
	}
	return nil
}

// startOrder puts specifications in an order in which each comes after those that it
// needs, and otherwise leaves them as they are. What is needed but not in the list
// does not count. The error is a [ModuleError] with the circle.
func startOrder(specs []id.ModuleSpec, needs func(id.ModuleSpec) []id.ModuleSpec) ([]id.ModuleSpec, error) {
	const (
		unseen = iota
		above  // on the way from the first one to the one at hand
		done
	)
	state := make(map[id.ModuleSpec]int, len(specs))
	var order, way []id.ModuleSpec
	var visit func(s id.ModuleSpec) error
	visit = func(s id.ModuleSpec) error {
		switch state[s] {
		case done:
			return nil
		case above:
			circle := slices.Clone(way[slices.Index(way, s):])
			return &ModuleError{Spec: s, Class: s.Class(), Needs: append(circle, s), Err: ErrCycle}
		}
		state[s] = above
		way = append(way, s)
		for _, n := range needs(s) {
			if !slices.Contains(specs, n) {
				continue
			}
			if err := visit(n); err != nil {
				return err
			}
		}
		way = way[:len(way)-1]
		state[s] = done
		order = append(order, s)
		return nil
	}
	for _, s := range specs {
		if err := visit(s); err != nil {
			return nil, err
		}
	}
	return order, nil
}
