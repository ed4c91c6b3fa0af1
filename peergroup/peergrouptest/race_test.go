//go:build race

package peergrouptest_test

// race says that the race detector runs, which makes everything many times slower.
const race = true
