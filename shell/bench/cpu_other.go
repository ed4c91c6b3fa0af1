//go:build !unix

package bench

// cpuTime is not to be had on this system.
func cpuTime() float64 { return 0 }
