package advertisements

// Bounds on what an advertisement may hold, kept in reading and in writing. They
// are far above what peers publish; what is larger is an attack or a mistake.
const (
	// MaxName bounds a name in octets. Names are indexed, and copies of the index
	// travel.
	MaxName = 1 << 10

	// MaxDesc bounds a description in octets.
	MaxDesc = 32 << 10

	// MaxParam bounds the parameters of one service, or of a module
	// specification, in octets.
	MaxParam = 32 << 10

	// MaxImplParam bounds the parameters of a module implementation, which for a
	// group holds the implementations of all its services, in octets.
	MaxImplParam = 128 << 10

	// MaxServices bounds the services of a peer or group, and the entries of the
	// service list of an implementation.
	MaxServices = 64

	// MaxAddresses bounds the addresses of one access point: a machine with many
	// interfaces has a dozen, and each costs an attempt to connect.
	MaxAddresses = 64

	// MaxHops bounds the peers on the way of a route: each handles every message
	// sent along it.
	MaxHops = 16

	// MaxAddress bounds the text of one address in octets; longer ones are
	// unusable and left out.
	MaxAddress = 512
)
