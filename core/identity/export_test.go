package identity

// lessWork makes the tests fast.
const lessWork = 16

// LessWork makes what is encrypted from now on cheap to guess.
func LessWork() { work = lessWork }

// FullWork makes it as expensive as it is in programs.
func FullWork() { work = scryptN }
