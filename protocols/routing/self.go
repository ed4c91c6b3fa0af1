package routing

// Reannounce has every gateway told the own route anew, since it has changed.
func (r *Router) Reannounce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told.clear()
	r.own.Store(nil)
}

// Reconsider forgets which addresses failed a moment ago: the network is another
// one now.
func (r *Router) Reconsider() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed.clear()
}
