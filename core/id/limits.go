package id

const (
	// MaxText bounds the text of an ID in octets. The longest uuid or cbid ID
	// has 142; the rest is room for formats this package does not know, whose
	// text it keeps.
	MaxText = 256

	// maxHex is the number of hex digits of the 64 octets of a uuid or cbid ID.
	maxHex = 128
)
