package store

import "time"

// What one record may bring. They bound what a stranger can make us keep; own
// records obey them too.
const (
	// MaxDocument bounds the text of an advertisement in octets, as the XML
	// reader does.
	MaxDocument = 256 << 10

	// MaxKey bounds a record's key. The longest ID has 256 octets.
	MaxKey = 512

	// MaxFields bounds the searchable fields of a record. The standard
	// advertisements have at most four.
	MaxFields = 32

	// MaxName bounds a field's name, as the XML reader bounds element names.
	MaxName = 128

	// MaxValue bounds a field's value. The longest field of a standard
	// advertisement is a group's description of 32 KiB.
	MaxValue = 32 << 10
)

// What a scope holds if [Config] does not say otherwise.
const (
	// DefaultMaxRecords is the number of records of a scope: what a busy
	// rendezvous sees in a day, with room to spare.
	DefaultMaxRecords = 100_000

	// DefaultMaxBytes bounds the memory of a scope's records.
	DefaultMaxBytes = 128 << 20

	// DefaultOriginRecords is the share of one origin. Ten full discovery
	// answers fit; a flood pushes out only what the flooder sent.
	DefaultOriginRecords = 500

	// DefaultOriginBytes bounds the memory of the records of one origin.
	DefaultOriginBytes = 4 << 20

	// DefaultRemoteLifetime is the longest that a record from another peer
	// stays: what others say about themselves is said again within a day.
	DefaultRemoteLifetime = 24 * time.Hour

	// DefaultWindow is how long a saved record may wait for the disk.
	DefaultWindow = 50 * time.Millisecond

	// DefaultSweep is the pause between two removals of expired records in a
	// store on disk that nobody uses meanwhile.
	DefaultSweep = 10 * time.Minute
)

// What an [Index] holds if [IndexConfig] does not say otherwise.
const (
	// DefaultHolderEntries is the most that one holder may have: 25,000
	// advertisements with an ID and a name. A tenth of the index, so that no
	// single one fills it.
	DefaultHolderEntries = 50_000

	// DefaultShareEntries is the most that one holder may have when half of the
	// index is taken. A few large holders can so take half of it and no more,
	// and in the other half there is room for at least 125 others.
	DefaultShareEntries = 2_000

	// DefaultIndexEntries is the size of the whole index: a thousand holders
	// with five hundred entries each. An entry costs some 300 octets beside its
	// value, so a full index takes 150 MB and the values.
	DefaultIndexEntries = 500_000

	// DefaultIndexText bounds the octets of all values: 250 for each of so many
	// entries, where an ID has 80. Long values fill the index before their
	// number does.
	DefaultIndexText = 128 << 20

	// DefaultIndexLifetime is the longest that an entry stays without being
	// said again or renewed.
	DefaultIndexLifetime = 24 * time.Hour

	// MaxIndexKey bounds the primary and the secondary key.
	MaxIndexKey = 128

	// MaxIndexValue bounds the value of an entry. What is longer is a
	// description, which a walk still finds at its owner.
	MaxIndexValue = 1 << 10
)

const (
	// maxTouches and maxTouchBytes bound the memory of recent changes. A reader
	// that falls further behind has to push everything.
	maxTouches    = 16_384
	maxTouchBytes = 4 << 20

	// sweepBatch bounds how many expired records a reader removes in passing.
	sweepBatch = 1_024

	// entryOverhead is added to the text of a record to estimate its memory:
	// entry, links, map slots.
	entryOverhead = 512
	fieldOverhead = 160

	// batchRecords and batchBytes bound one transaction on disk, so that
	// writing a full store does not need its memory twice.
	batchRecords = 4_096
	batchBytes   = 8 << 20

	// lockWait is how long Open waits for another process to let go of the
	// file: long enough for one that is just ending.
	lockWait = 500 * time.Millisecond

	// retryWait is the pause after a failed write.
	retryWait = time.Second

	// maxGraves bounds the expired records remembered in a scope.
	maxGraves = 512
)
