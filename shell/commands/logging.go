package commands

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func loggingCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "logging", Family: familyLanguage, Summary: "shows and changes what is logged",
		Args: "[LEVEL] [PACKAGE]...", MaxArgs: -1,
		Options: []interp.Option{{Letter: "s", Help: "severe, which is error"}, {Letter: "w", Help: "warning"}, {Letter: "c", Help: "config, which is info"},
			{Letter: "i", Help: "info"}, {Letter: "f", Help: "fine, which is debug"}, {Letter: "t", Help: "finer, which is debug"},
			{Letter: "v", Help: "finest, which is debug"}, {Letter: "d", Help: "off"}},
		Complete: func(_ *interp.Session, n int) []interp.Suggestion {
			if n > 0 {
				return nil
			}
			return []interp.Suggestion{{Text: "debug", Description: "each message"}, {Text: "info", Description: "changes of state"},
				{Text: "warn", Description: "peers that misbehave"}, {Text: "error", Description: "faults of this peer"}, {Text: "off", Description: "nothing"}}
		},
		Details: "Levels: debug, info, warn, error, off; the options are those of the original shell. A\n" +
			"package is named by its path or the end of it, such as rendezvous, core/endpoint, or\n" +
			"protocols for all below; without one the level is that of all others. The log goes to\n" +
			"standard error of the program. JSON: package, level, before.",
		Examples: []interp.Example{{Line: "logging", Text: "what is logged now"}, {Line: "logging debug rendezvous", Text: "all about rendezvous"},
			{Line: "logging off", Text: "nothing, but for packages that have a level of their own"}},
		Run: func(_ context.Context, c *interp.Call) error {
			levels := h.levels()
			if levels == nil {
				return interp.Failf("what is logged cannot be changed here").Try("the program that started the peer decides; juxta itself can")
			}
			names, level, set, err := loggingArgs(c)
			if err != nil {
				return err
			}
			if !set {
				showLevels(c, levels, names)
				return nil
			}
			if len(names) == 0 {
				names = []string{""}
			}
			for _, name := range names {
				before, err := levels.Set(name, level)
				if err != nil {
					return interp.Because(err, "cannot set it")
				}
				c.Line(levelName(before)+"->"+levelName(level)+" : "+allOr(name), interp.Field{Name: "package", Value: allOr(name)},
					interp.Field{Name: "level", Value: levelName(level)}, interp.Field{Name: "before", Value: levelName(before)})
			}
			return nil
		},
	}
}

// loggingArgs reads the level and the names of packages.
func loggingArgs(c *interp.Call) (names []string, level slog.Level, set bool, err error) {
	for letter, l := range map[string]slog.Level{"s": slog.LevelError, "w": slog.LevelWarn, "c": slog.LevelInfo, "i": slog.LevelInfo,
		"f": slog.LevelDebug, "t": slog.LevelDebug, "v": slog.LevelDebug, "d": LevelOff} {
		if !c.Flag(letter) {
			continue
		}
		if set {
			return nil, 0, false, interp.Usagef("logging wants one level").Try("usage: %s", c.Command.Usage())
		}
		level, set = l, true
	}
	for i, a := range c.Args {
		if i == 0 && !set {
			if strings.EqualFold(a.Text, "off") {
				level, set = LevelOff, true
				continue
			}
			if level.UnmarshalText([]byte(a.Text)) == nil {
				set = true
				continue
			}
		}
		names = append(names, strings.Trim(strings.TrimPrefix(a.Text, modulePath), "/"))
	}
	return names, level, set, nil
}

// showLevels lists the levels, or those of some packages.
func showLevels(c *interp.Call, levels *Levels, names []string) {
	row := func(name string, level slog.Level) {
		c.Row(interp.Field{Name: "package", Value: allOr(name)}, interp.Field{Name: "level", Value: levelName(level)})
	}
	for _, name := range names {
		row(name, levels.Level(name))
	}
	if len(names) > 0 {
		return
	}
	all, packages := levels.All()
	row("", all)
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		row(name, packages[name])
	}
}

func levelName(l slog.Level) string {
	if l >= LevelOff {
		return "OFF"
	}
	return l.String()
}

// allOr is the name of a package, or of all others.
func allOr(name string) string {
	if name == "" {
		return "all"
	}
	return name
}
