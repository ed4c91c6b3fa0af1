//go:build race

package peerview_test

// raceDetector says that everything takes ten times as long.
const raceDetector = true
