package access

const (
	// MaxRights bounds the operations that a list names, and maxNames the names of
	// one of them: the list stands in the group's advertisement.
	MaxRights = 1024
	maxNames  = 1024

	// maxWord bounds an operation and a name in octets.
	maxWord = 256
)
