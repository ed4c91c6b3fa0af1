package routing

import "time"

// Failure is a message that could not be sent.
type Failure struct {
	When time.Time
	Err  error
}
