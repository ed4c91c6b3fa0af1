package commands_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/juxta-p2p/juxta/shell/commands"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// TestLevels: what is logged follows the levels, also in loggers made before.
func TestLevels(t *testing.T) {
	var b bytes.Buffer
	levels := commands.NewLevels(commands.LevelOff)
	log := slog.New(levels.Handler(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug - 1}))).With("peer", "ann").WithGroup("g")
	logged := func() bool {
		t.Helper()
		b.Reset()
		log.Info("something")
		return strings.Contains(b.String(), "peer=ann")
	}
	set := func(name string, level slog.Level) {
		t.Helper()
		if _, err := levels.Set(name, level); err != nil {
			t.Fatal(err)
		}
	}
	if logged() || log.Enabled(t.Context(), slog.LevelError) {
		t.Error("off, but logged")
	}
	set("", slog.LevelInfo)
	if !logged() {
		t.Error("info is not logged")
	}
	set("rendezvous", slog.LevelDebug)
	if !logged() || !log.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("another package has ended the log")
	}
	set("shell", slog.LevelWarn) // this test is in shell/commands_test
	if logged() {
		t.Error("the level of the folder does not count")
	}
	set("commands_test", slog.LevelDebug)
	if !logged() {
		t.Error("the level of the package does not count")
	}
	set("shell/commands_test", commands.LevelOff)
	if logged() {
		t.Error("the longest name does not count")
	}
	if got := levels.Level("protocols/rendezvous"); got != slog.LevelDebug {
		t.Errorf("rendezvous has %v", got)
	}
}

func TestLogging(t *testing.T) {
	var out, errs bytes.Buffer
	host := commands.New(nil)
	host.SetLevels(commands.NewLevels(commands.LevelOff))
	s := interp.New(interp.Config{Commands: host.Commands(), Out: &out, Err: &errs})
	for _, tt := range []struct {
		src, out, err string
	}{
		{"logging", "all\tOFF\n", ""},
		{"logging warn", "OFF->WARN : all\n", ""},
		{"logging -f rendezvous core/endpoint", "WARN->DEBUG : rendezvous\nWARN->DEBUG : core/endpoint\n", ""},
		{"logging off rendezvous", "DEBUG->OFF : rendezvous\n", ""},
		{"logging", "all\tWARN\ncore/endpoint\tDEBUG\nrendezvous\tOFF\n", ""},
		{"logging protocols/rendezvous pipe --json", `{"package":"protocols/rendezvous","level":"OFF"}` + "\n" + `{"package":"pipe","level":"WARN"}` + "\n", ""},
		{"logging -s -w", "", "logging wants one level"},
	} {
		out.Reset()
		errs.Reset()
		s.Run(t.Context(), tt.src)
		if out.String() != tt.out || !strings.Contains(errs.String(), tt.err) {
			t.Errorf("%s: %q, %q", tt.src, out.String(), errs.String())
		}
	}
}
