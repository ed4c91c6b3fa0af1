package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

// meter counts what crosses the links.
type meter struct {
	mu      sync.Mutex
	octets  map[string]int    // to and from each host, all messages
	words   map[string]*count // messages with a word in them
	touched map[string]int    // octets of such messages to and from each host
}

type count struct{ messages, octets int }

func newMeter() *meter {
	m := &meter{}
	m.reset()
	return m
}

func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.octets, m.words, m.touched = map[string]int{}, map[string]*count{}, map[string]int{}
}

// watch counts messages with a word in them from now on.
func (m *meter) watch(word string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.words[word] = &count{}
}

// tap is called with each message on each link.
func (m *meter) tap(from, to string, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.octets[from] += len(body)
	m.octets[to] += len(body)
	for rest := body; ; {
		i := bytes.Index(rest, []byte("zq"))
		if i < 0 {
			return
		}
		rest = rest[i:]
		end := bytes.IndexByte(rest[2:], 'z')
		if end < 0 {
			return
		}
		if c := m.words[string(rest[:end+3])]; c != nil {
			c.messages++
			c.octets += len(body)
			m.touched[from] += len(body)
			m.touched[to] += len(body)
			return
		}
		rest = rest[2:]
	}
}

func (m *meter) seen(word string) (messages, octets int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.words[word]
	return c.messages, c.octets
}

// all returns the octets to and from some hosts.
func (m *meter) all(names map[string]bool) map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	some := map[string]int{}
	for name := range names {
		some[name] = m.octets[name]
	}
	return some
}

// crossed is how many octets of watched messages went to or from a host.
func (m *meter) crossed(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.touched[name]
}

// busiest is the host with most of them, of some.
func (m *meter) busiest(names map[string]bool) (most string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range names {
		if most == "" || m.touched[name] > m.touched[most] || m.touched[name] == m.touched[most] && name < most {
			most = name
		}
	}
	return most
}

// table prints the rows as Markdown, a column for each policy.
func table(rows []row) string {
	var b strings.Builder
	line := func(what string, cell func(r row) string) {
		fmt.Fprintf(&b, "| %s |", what)
		for _, r := range rows {
			fmt.Fprintf(&b, " %s |", cell(r))
		}
		b.WriteByte('\n')
	}
	line("", func(r row) string { return r.policy.String() })
	line("---", func(row) string { return "---" })
	line("peers that hold the index", func(r row) string { return fmt.Sprint(r.indexes) })
	line("KiB to and from the index while all publish", func(r row) string { return kib(float64(r.publishing)) })
	line("of these, the busiest index holder", func(r row) string { return kib(float64(r.busiest)) })
	line("searches by a word that succeed", func(r row) string { return rate(r.byWord) })
	line("messages per search by a word", func(r row) string { return fmt.Sprintf("%.1f", r.byWord.messages) })
	line("KiB of these", func(r row) string { return kib(r.byWord.octets) })
	line("of these, through the busiest index holder", func(r row) string { return kib(r.octets) })
	line("time to the first result, median", func(r row) string { return milli(r.byWord.first) })
	line("searches by a whole name that succeed", func(r row) string { return rate(r.byName) })
	line("messages per search by a whole name", func(r row) string { return fmt.Sprintf("%.1f", r.byName.messages) })
	line("killed then", func(r row) string { return r.killed })
	line("searches by a word that succeed after that", func(r row) string { return rate(r.after) })
	line("messages per search after that", func(r row) string { return fmt.Sprintf("%.1f", r.after.messages) })
	return b.String()
}

func kib(octets float64) string {
	if octets == 0 {
		return "0"
	}
	return fmt.Sprintf("%.1f", octets/1024)
}

func rate(f found) string { return fmt.Sprintf("%d of %d", f.hits, f.asked) }

func milli(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}
