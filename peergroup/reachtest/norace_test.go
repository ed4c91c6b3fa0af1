//go:build linux && !race

package reachtest

// racing says that the race detector is at work, which takes several times the memory.
const racing = false
