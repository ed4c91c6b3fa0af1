package routing

// Reannounce has every gateway told the own route anew, since it has changed.
func (r *Router) Reannounce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told.clear()
	r.own.Store(nil)
}

// Reconsider forgets which addresses and peers in between failed a moment ago, and
// who was looked for in vain: the network is another one now.
func (r *Router) Reconsider() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed.clear()
	r.lost.clear()
	for e := r.table.newest; e != nil; e = e.older {
		e.bad = nil
		if e.climb != nil {
			e.climb.pause, e.climb.again = 0, 0
		}
		e.wake()
	}
}
