package terminal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	var out bytes.Buffer
	l := Lines(strings.NewReader("one\r\n\nthree"), &out, true)
	defer l.Close()
	l.SetPrompt("> ")
	for _, want := range []string{"one", "", "three"} {
		got, err := l.ReadLine(t.Context())
		if got != want || err != nil {
			t.Fatalf("ReadLine = %q, %v; want %q", got, err, want)
		}
	}
	for range 2 {
		if _, err := l.ReadLine(t.Context()); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	}
	l.PrintAbove("bye")
	if got := out.String(); got != "> > > > > bye\n" {
		t.Errorf("output %q", got)
	}
	if _, err := l.ReadSecret(t.Context(), "?"); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("ReadSecret: %v", err)
	}
}

func TestLinesEndsWithContextAndClose(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	l := Lines(r, io.Discard, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.ReadLine(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	l.Close()
	l.Close()
	if _, err := l.ReadLine(t.Context()); err != io.EOF {
		t.Errorf("closed: %v", err)
	}
}

func TestLinesTooLong(t *testing.T) {
	l := Lines(strings.NewReader(strings.Repeat("x", maxLine+1)), io.Discard, false)
	defer l.Close()
	if _, err := l.ReadLine(t.Context()); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("a line that is too long: %v", err)
	}
}
