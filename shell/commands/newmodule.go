package commands

import (
	"context"
	"fmt"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func newmoduleclassCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "newmoduleclass", Family: familyPipes, Summary: "makes the advertisement of a module class: that there is such a service",
		Args: "[NAME]", MaxArgs: 1, Complete: nothing,
		Options: []interp.Option{
			{Letter: "n", Name: "name", Value: "NAME", Help: "name of the class"},
			{Letter: "m", Name: "description", Value: "TEXT", Help: "what it does"},
			{Letter: "b", Name: "base", Value: "CLASS", Help: "the same class in another role: a variable, or an ID"},
		},
		Details: "What a service does is its class; newmodulespec makes the specification of one way to do\nit, and the code of a module stands in a program: docs/modules.md. publish makes it known.\n" +
			"JSON: variable, name, class_id.",
		Examples: []interp.Example{{Line: "units = newmoduleclass -m 'turns miles into metres' units; publish units", Text: "says that there is such a service"},
			{Line: "other = newmoduleclass -n units2 -b units", Text: "the same in another role", Before: "units = newmoduleclass units"}},
		Run: func(_ context.Context, c *interp.Call) error {
			adv := &advertisements.ModuleClass{ID: id.NewModuleClass(), Name: c.Value("n", c.Text(0)), Desc: c.Value("m", "")}
			if c.Flag("b") {
				base, err := moduleClassOf(c, interp.Arg{Text: c.Value("b", "")})
				if err != nil {
					return err
				}
				adv.ID = id.NewModuleRole(base)
			}
			return c.Made(adv, fmt.Sprintf("advertisement of the module class %q", adv.Name),
				interp.Field{Name: "name", Value: adv.Name}, interp.Field{Name: "class_id", Value: adv.ID.String()})
		},
	}
}

func newmodulespecCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "newmodulespec", Family: familyPipes, Summary: "makes the advertisement of a module specification: one way to provide a class",
		Args: "CLASS", MinArgs: 1, MaxArgs: 1,
		Options: []interp.Option{
			{Letter: "n", Name: "name", Value: "NAME", Help: "name of the specification"},
			{Letter: "m", Name: "description", Value: "TEXT", Help: "what it is"},
			{Letter: "c", Name: "creator", Value: "NAME", Help: "who wrote it (default: the name of this peer)"},
			{Letter: "u", Name: "uri", Value: "URI", Help: "where its text is"},
			{Letter: "v", Name: "version", Value: "TEXT", Help: "its version (default 1.0)"},
			{Letter: "i", Name: "pipe", Value: "VARIABLE", Help: "the pipe on which a running service is reached"},
			{Letter: "p", Name: "proxy", Value: "SPEC", Help: "the specification of a module that stands in for it"},
			{Letter: "a", Name: "auth", Value: "SPEC", Help: "and of one that lets users in"},
		},
		Complete: func(s *interp.Session, n int) []interp.Suggestion {
			if n > 0 {
				return nil
			}
			return s.Variables(classAdv)
		},
		Details: "CLASS and SPEC are variables with such advertisements, or IDs. Whoever provides it runs a\nmodule of that specification; call lists who does. publish makes it known.\n" +
			"JSON: variable, name, spec_id, class_id.",
		Examples: []interp.Example{{Line: "metres = newmodulespec -n metres -u http://example.org/metres units", Text: "a way to do it", Before: "units = newmoduleclass units"},
			{Line: "newmodulespec -n metres2 -m 'and yards' -c ann -v 2.0 -i inbox -p metres -a metres units", Text: "all that can be said of it",
				Before: "units = newmoduleclass units; metres = newmodulespec units"}},
		Run: func(_ context.Context, c *interp.Call) error {
			class, err := moduleClassOf(c, c.Args[0])
			if err != nil {
				return err
			}
			const first = "1.0"
			adv := &advertisements.ModuleSpec{ID: id.NewModuleSpec(class), Name: c.Value("n", ""), Desc: c.Value("m", ""),
				Creator: c.Value("c", h.group().PeerName()), URI: c.Value("u", ""), Version: c.Value("v", first)}
			for _, x := range []struct {
				option string
				to     *id.ModuleSpec
			}{{"p", &adv.Proxy}, {"a", &adv.Auth}} {
				if !c.Flag(x.option) {
					continue
				}
				if *x.to, err = moduleSpecOf(c, interp.Arg{Text: c.Value(x.option, "")}); err != nil {
					return err
				}
			}
			if c.Flag("i") {
				v, _ := c.Variable(interp.Arg{Text: c.Value("i", "")})
				p, ok := v.Object.(*advertisements.Pipe)
				if !ok {
					return interp.NotFoundf("no variable %q holds the advertisement of a pipe", c.Value("i", "")).Try("newpipe makes one, search finds those of others")
				}
				adv.Pipe = p
			}
			return c.Made(adv, fmt.Sprintf("advertisement of the module specification %q", adv.Name),
				interp.Field{Name: "name", Value: adv.Name}, interp.Field{Name: "spec_id", Value: adv.ID.String()}, interp.Field{Name: "class_id", Value: class.String()})
		},
	}
}

// moduleClassOf returns the class that an argument names: a variable with its
// advertisement, or an ID.
func moduleClassOf(c *interp.Call, a interp.Arg) (id.ModuleClass, error) {
	v, ok := c.Variable(a)
	switch x := v.Object.(type) {
	case *advertisements.ModuleClass:
		return x.ID, nil
	case string:
		a.Text, ok = x, false
	}
	class, err := id.ParseModuleClass(a.Text)
	if ok || err != nil {
		return class, notModule(v, a, "module class").Try("newmoduleclass makes one, search finds those of others")
	}
	return class, nil
}

// moduleSpecOf likewise for a specification.
func moduleSpecOf(c *interp.Call, a interp.Arg) (id.ModuleSpec, error) {
	v, ok := c.Variable(a)
	switch x := v.Object.(type) {
	case *advertisements.ModuleSpec:
		return x.ID, nil
	case string:
		a.Text, ok = x, false
	}
	spec, err := id.ParseModuleSpec(a.Text)
	if ok || err != nil {
		return spec, notModule(v, a, "module specification").Try("newmodulespec makes one, search finds those of others")
	}
	return spec, nil
}

// notModule is the error of an argument that names something else.
func notModule(v interp.Variable, a interp.Arg, what string) *interp.Error {
	if v.Object == nil {
		return interp.Usagef("%q is no %s", oneLine(strings.Join(strings.Fields(a.Text), " ")), what)
	}
	return interp.Failf("%s holds no %s, but: %s", v.Name, what, v.Class)
}
