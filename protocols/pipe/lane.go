package pipe

import "sync"

// lane does things one after the other, on a goroutine that lives only while
// there is anything to do, so that the goroutine that reads a link need not wait
// for other links.
type lane struct {
	mu      sync.Mutex
	queue   []func()
	running bool
}

// put adds something to do. It reports false if too much is waiting or the
// service is closed.
func (l *lane) put(s *Service, f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) >= maxLane || !l.running && !s.goTask(func() { l.run(s) }) {
		return false
	}
	l.running = true
	l.queue = append(l.queue, f)
	return true
}

func (l *lane) run(s *Service) {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 || s.ctx.Err() != nil {
			l.running, l.queue = false, nil
			l.mu.Unlock()
			return
		}
		f := l.queue[0]
		l.queue[0] = nil // not to be kept alive by the array
		l.queue = l.queue[1:]
		l.mu.Unlock()
		f()
	}
}
