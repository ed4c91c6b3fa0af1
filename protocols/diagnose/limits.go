package diagnose

import "time"

const (
	// answerRate and answerBurst bound the questions answered in a second, of all
	// askers together: each costs a look into a few tables.
	answerRate  = 20
	answerBurst = 40

	// maxText bounds a text in an answer.
	maxText = 512

	// clockSlack is how far two clocks may differ before it is worth a word: the
	// lifetimes of advertisements are counted in minutes.
	clockSlack = 2 * time.Minute
)
