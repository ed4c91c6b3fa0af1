package commands

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// LevelOff is above all levels: nothing is logged.
const LevelOff = slog.Level(math.MaxInt32)

// modulePath leads the names of functions of this module.
const modulePath = "github.com/juxta-p2p/juxta/"

// maxLevels bounds the packages that have a level of their own.
const maxLevels = 1000

// Levels decides what is logged, and can be changed while the peer runs: one
// level for all, and others for packages. It is safe for concurrent use.
type Levels struct {
	least atomic.Int64 // the lowest of all levels

	mu       sync.Mutex
	all      slog.Level
	packages map[string]slog.Level
}

// NewLevels returns levels that are the same for all packages.
func NewLevels(all slog.Level) *Levels {
	l := &Levels{all: all, packages: map[string]slog.Level{}}
	l.least.Store(int64(all))
	return l
}

// Handler returns a handler that passes on to next what the levels let through.
// next should let everything through.
func (l *Levels) Handler(next slog.Handler) slog.Handler { return levelHandler{l, next} }

// Set sets the level of a package, or of all those below a folder, named by its
// path in the module or the end of that ("protocols/rendezvous", "rendezvous",
// "protocols"). The empty name means all others. It returns the level of before.
func (l *Levels) Set(name string, level slog.Level) (before slog.Level, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before = l.level(name)
	if name == "" {
		l.all = level
	} else {
		if _, ok := l.packages[name]; !ok && len(l.packages) >= maxLevels {
			return before, fmt.Errorf("commands: there are already %d levels", maxLevels)
		}
		l.packages[name] = level
	}
	least := l.all
	for _, p := range l.packages {
		least = min(least, p)
	}
	l.least.Store(int64(least))
	return before, nil
}

// All returns the level of all and those of packages.
func (l *Levels) All() (all slog.Level, packages map[string]slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all, maps.Clone(l.packages)
}

// Level returns the level of a package.
func (l *Levels) Level(name string) slog.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.level(name)
}

// level finds the longest name that fits. l.mu is held.
func (l *Levels) level(name string) slog.Level {
	level, longest := l.all, 0
	for p, x := range l.packages {
		fits := name == p || strings.HasSuffix(name, "/"+p) || strings.HasPrefix(name, p+"/") || strings.Contains(name, "/"+p+"/")
		if fits && len(p) > longest {
			level, longest = x, len(p)
		}
	}
	return level
}

// levelHandler asks Levels about each record.
type levelHandler struct {
	levels *Levels
	next   slog.Handler
}

// Enabled reports whether any package logs at the level: who asks is not known yet.
func (h levelHandler) Enabled(_ context.Context, level slog.Level) bool {
	return int64(level) >= h.levels.least.Load()
}

// Handle passes the record on if its package logs at its level.
func (h levelHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < h.levels.Level(packageOf(r.PC)) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h levelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return levelHandler{h.levels, h.next.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h levelHandler) WithGroup(name string) slog.Handler {
	return levelHandler{h.levels, h.next.WithGroup(name)}
}

// packageOf returns the package of the function at pc, by its path in the module.
func packageOf(pc uintptr) string {
	if pc == 0 {
		return ""
	}
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	name := strings.TrimPrefix(frame.Function, modulePath)
	slash := strings.LastIndexByte(name, '/') + 1
	if dot := strings.IndexByte(name[slash:], '.'); dot >= 0 {
		return name[:slash+dot]
	}
	return name
}
