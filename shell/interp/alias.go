package interp

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/juxta-p2p/juxta/shell/lang"
)

// aliases are names that the user has given to texts of the language.
type aliases struct {
	mu   sync.Mutex
	text map[string]string
}

func (a *aliases) get(name string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text, ok := a.text[name]
	return text, ok
}

// SetAlias gives a name to a text, which then runs as a command, with the arguments of the call behind it; an
// empty text takes the name away. Commands of the shell cannot be renamed.
func (s *Session) SetAlias(name, text string) error {
	if text == "" {
		s.aliases.mu.Lock()
		defer s.aliases.mu.Unlock()
		if _, ok := s.aliases.text[name]; !ok {
			return fmt.Errorf("interp: there is no alias %q", name)
		}
		delete(s.aliases.text, name)
		return nil
	}
	if !lang.IsName(name) || slices.ContainsFunc(s.Commands, func(c *Command) bool { return c.Name == name || slices.Contains(c.Aliases, name) }) {
		return fmt.Errorf("interp: %q cannot name an alias", name)
	}
	if _, err := lang.Parse(text); err != nil {
		return fmt.Errorf("interp: %w", err)
	}
	s.aliases.mu.Lock()
	defer s.aliases.mu.Unlock()
	if _, ok := s.aliases.text[name]; !ok && len(s.aliases.text) >= maxAliases {
		return fmt.Errorf("interp: there are already %d aliases", len(s.aliases.text))
	}
	if s.aliases.text == nil {
		s.aliases.text = map[string]string{}
	}
	s.aliases.text[name] = text
	return nil
}

// Aliases yields the aliases by name, with their texts.
func (s *Session) Aliases() iter.Seq2[string, string] {
	s.aliases.mu.Lock()
	all := maps.Clone(s.aliases.text)
	s.aliases.mu.Unlock()
	return func(yield func(name, text string) bool) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if !yield(name, all[name]) {
				return
			}
		}
	}
}

// aliased is the command that an alias stands for.
func aliased(name, text string) *Command {
	return &Command{
		Name: name, Family: "Aliases", Summary: text, MaxArgs: -1, Raw: true, Args: "[ARGUMENTS...]",
		Run: func(ctx context.Context, c *Call) error {
			if more := c.Typed(0); more != "" {
				return c.Script(ctx, text+" "+more)
			}
			return c.Script(ctx, text)
		},
	}
}
