//go:build race

package endpoint_test

// raceDetector says that pools forget at random.
const raceDetector = true
