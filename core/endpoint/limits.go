package endpoint

const (
	// MaxAddress bounds the text of an address in octets: a peer ID, a group
	// prefix, a service name and a pipe ID fit several times.
	MaxAddress = 1024

	// maxHost bounds the host part: the longest DNS name with port, or an ID.
	maxHost = 262

	// maxService bounds the service name, which may be a whole URN.
	maxService = 256
)
