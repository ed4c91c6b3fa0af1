package lan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Names in the meeting folder.
const (
	suffix     = ".peer"
	tempPrefix = ".new-"
)

// Keys of a file beside those of a record.
const (
	keyPID  = "pid"
	keyHost = "host" // whose process numbers those are
)

// meeting is the folder where the peers of a user on one machine meet. Each
// keeps one file there, named after its ID, with its record and the number of
// its process, and touches it now and then to show that it is alive.
type meeting struct {
	s    *Service
	dir  string
	own  string // path of the file of the local peer
	host string // tells machines and process namespaces apart

	written []byte // what the own file holds, nil if there is none
	touched time.Time
	known   map[string]reading
}

// reading is what a file held when it was last read.
type reading struct {
	changed time.Time
	size    int64
	pid     int // 0 if it cannot be checked here
	rec     record
	ok      bool
}

// meet opens the folder and puts the local peer on show.
func (s *Service) meet() (*meeting, error) {
	dir, err := openFolder(s.cfg.Dir)
	if err != nil {
		return nil, err
	}
	m := &meeting{s: s, dir: dir, own: filepath.Join(dir, s.cfg.Peer.Unique()+suffix), host: hostName()}
	if err := m.announce(time.Now()); err != nil {
		return nil, err
	}
	return m, nil
}

// hostName names the place where a process number means the same process.
func hostName() string {
	name, _ := os.Hostname()
	pids, _ := os.Readlink("/proc/self/ns/pid") // Linux: containers number their own
	return clean(name+" "+pids, maxHost)
}

// run keeps the file fresh and looks for those of others until the service is
// closed.
func (m *meeting) run(look <-chan struct{}) {
	defer m.leave()
	eager := time.Now().Add(eagerTime)
	failed := false
	for {
		now := time.Now()
		if err := m.announce(now); err != nil {
			m.s.stats.failedAnnounces.Add(1)
			if !failed {
				m.s.log.Warn("peers of this machine do not see this one", "err", err)
			}
			failed = true
		} else {
			failed = false
		}
		if f, err := m.scan(now); err == nil {
			m.s.took(Machine, f, maxUnseen)
		} else {
			m.s.stats.failedLooks.Add(1)
			m.s.log.Debug("meeting folder unreadable", "err", err)
			m.s.took(Machine, nil, maxUnseen)
		}
		pause := lookInterval
		if now.Before(eager) {
			pause = eagerInterval
		}
		timer := time.NewTimer(pause)
		select {
		case <-m.s.ctx.Done():
			timer.Stop()
			return
		case <-look:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// announce writes, touches or removes the own file, whichever is due.
func (m *meeting) announce(now time.Time) error {
	r := m.s.self()
	if r.addresses = forMachine(m.s.cfg.Addresses()); len(r.addresses) == 0 {
		m.leave()
		return nil
	}
	var b bytes.Buffer
	strs := r.encode()
	for _, line := range append(strs, keyPID+"="+strconv.Itoa(os.Getpid()), keyHost+"="+m.host) {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	if bytes.Equal(b.Bytes(), m.written) {
		if now.Sub(m.touched) < touchInterval {
			return nil
		}
		if os.Chtimes(m.own, now, now) == nil {
			m.touched = now
			return nil
		}
		// Somebody removed it; perhaps this machine slept for a while.
	}
	if err := m.write(b.Bytes(), now); err != nil {
		return fmt.Errorf("lan: %w", err)
	}
	m.s.clipped(r, strs)
	m.written, m.touched = b.Bytes(), now
	return nil
}

// write puts the file in its place in one step, so that nobody reads half of it.
func (m *meeting) write(b []byte, now time.Time) error {
	f, err := os.CreateTemp(m.dir, tempPrefix)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Chtimes(f.Name(), now, now)
	}
	if err == nil {
		err = os.Rename(f.Name(), m.own)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// leave removes the own file, unless another process wrote it since.
func (m *meeting) leave() {
	if m.written == nil {
		return
	}
	if b, err := readFile(m.own); err == nil && bytes.Equal(b, m.written) {
		_ = os.Remove(m.own)
	}
	m.written = nil
}

// scan reads the files of others that are alive, and removes those that the
// dead left.
func (m *meeting) scan(now time.Time) (found, error) {
	d, err := os.Open(m.dir)
	if err != nil {
		return nil, err
	}
	entries, err := d.ReadDir(maxFiles)
	if len(entries) == maxFiles {
		if more, _ := d.ReadDir(1); len(more) > 0 {
			m.s.stats.files.Add(1)
		}
	}
	_ = d.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	f, known := found{}, map[string]reading{}
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(m.dir, name)
		if path == m.own || !strings.HasSuffix(name, suffix) && !strings.HasPrefix(name, tempPrefix) {
			continue
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !ownedByUser(info) {
			continue
		}
		age := now.Sub(info.ModTime())
		if age > removeAfter {
			_ = os.Remove(path)
			continue
		}
		if age > staleAfter || age < -staleAfter || strings.HasPrefix(name, tempPrefix) {
			continue
		}
		if len(known) >= maxPeers {
			m.s.stats.files.Add(1)
			continue
		}
		r, ok := m.known[name]
		if !ok || !r.changed.Equal(info.ModTime()) || r.size != info.Size() {
			r = m.read(path, info)
		}
		known[name] = r
		switch {
		case !r.ok || r.rec.peer.Unique()+suffix != name:
		case r.pid != 0 && !alive(r.pid):
			_ = os.Remove(path)
		default:
			f[r.rec.peer] = sighting{rec: r.rec, heard: info.ModTime()}
		}
	}
	m.known = known
	return f, nil
}

// read reads one file.
func (m *meeting) read(path string, info fs.FileInfo) reading {
	r := reading{changed: info.ModTime(), size: info.Size()}
	b, err := readFile(path)
	if err == nil {
		r.rec, r.pid, err = parseFile(b, m.host)
	}
	if err != nil {
		m.s.stats.malformed.Add(1)
		m.s.log.Debug("file of the meeting folder ignored", "file", filepath.Base(path), "err", err)
	}
	r.ok = err == nil
	return r
}

// readFile reads a file of the folder, if it is not too long.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("lan: %w: longer than %d octets", errRecord, maxFile)
	}
	return b, err
}

// parseFile reads the content of a file. The process number is 0 if it is one
// of another host.
func parseFile(b []byte, host string) (record, int, error) {
	lines := strings.Split(string(b), "\n")
	r, err := decode(lines, fromMachine)
	if err != nil {
		return record{}, 0, err
	}
	pid, same := 0, false
	for _, line := range lines[:min(len(lines), maxStrings)] {
		switch key, value, _ := strings.Cut(line, "="); key {
		case keyPID:
			if pid, err = strconv.Atoi(value); err != nil || pid <= 0 {
				return record{}, 0, fmt.Errorf("lan: %w: process number %.16q", errRecord, value)
			}
		case keyHost:
			same = value == host
		}
	}
	if !same {
		pid = 0
	}
	return r, pid, nil
}
