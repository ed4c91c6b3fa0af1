//go:build !race

package peerview_test

const raceDetector = false
