//go:build !race

package costtest

// racing says that the race detector is at work, which takes several times the memory.
const racing = false
