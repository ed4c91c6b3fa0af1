package content

import "time"

const (
	// ChunkSize is how many octets are hashed, asked for and verified at a time;
	// the last chunk of a file is shorter. Larger ones would be lost in one go
	// when a holder lies, smaller ones make larger manifests.
	ChunkSize = 256 << 10

	// MaxChunks bounds the chunks of one content: 32 GiB, a manifest of 4 MiB.
	MaxChunks = 1 << 17

	// maxManifest bounds a manifest in octets.
	maxManifest = manifestHead + MaxChunks*hashSize
)

// What an item may say. Others keep it, index it and show it to people.
const (
	// maxName bounds a name in octets, maxPart each part between slashes, as file
	// systems do, and maxParts how deep folders nest.
	maxName  = 1 << 10
	maxPart  = 255
	maxParts = 32

	// maxMIME bounds a MIME type; RFC 6838 allows 127 on each side of the slash.
	maxMIME = 255

	// maxWords bounds the words of an item, maxWord each of them in octets.
	maxWords = 64
	maxWord  = 64

	// maxFields bounds the free fields, maxKey and maxValue their parts in octets.
	maxFields = 16
	maxKey    = 64
	maxValue  = 256

	// maxSearchText bounds the text that an advertisement is found by: discovery
	// announces no values beyond 1 KiB.
	maxSearchText = 1000

	// maxReplicas bounds how many copies one can ask the group to keep.
	maxReplicas = 32
)

// What is shared.
const (
	// maxShared bounds the files that one peer shares. One costs about 1 KiB of
	// memory, and 32 octets more for each chunk.
	maxShared = 100_000

	// maxFolder bounds the files of one folder, and maxList its list in octets.
	maxFolder = 50_000
	maxList   = 16 << 20

	// maxHashing bounds the files hashed at once.
	maxHashing = 2

	// saveEvery is after how many newly hashed files of a folder the list of what
	// is shared is written, so that a crash costs little.
	saveEvery = 2_000

	// maxStateLine bounds one line of that list: a manifest in base64, an item, and
	// two paths.
	maxStateLine = maxManifest/3*4 + 64<<10

	// defaultQuota bounds the service's own folder.
	defaultQuota = 1 << 30

	// copyLife is how long advertisements live at those who have asked, after
	// the holder may be gone.
	copyLife = 10 * time.Minute

	// partLife is how long a file that was not fetched to its end is kept there.
	partLife = 7 * 24 * time.Hour
)

// What strangers can have this peer do by asking.
const (
	// maxConns bounds the connections served at once, each of which costs a
	// goroutine and a buffer of uploadPiece, and maxPeerConns those of one peer.
	maxConns     = 128
	maxPeerConns = 4

	// idleWait is how long a connection may ask for nothing.
	idleWait = 2 * time.Minute

	// uploadPiece is how many octets are written at a time; the limit of upload
	// is kept piece by piece, so that all who fetch move on.
	uploadPiece = 32 << 10

	// pieceWait bounds writing one piece to somebody who does not read.
	pieceWait = 30 * time.Second

	// maxHits bounds the results of one answer, maxAnswer their estimated octets
	// as they stand in the message: documents end at 256 KiB.
	maxHits   = 50
	maxAnswer = 150 << 10

	// A peer may have searchRate questions answered a second, searchBurst at once,
	// all together so many times more; a question that names no word and no ID
	// counts patternCost times, since a full index is looked through for it. At most
	// maxAskers are told apart.
	searchRate     = 50
	searchBurst    = 1_000
	searchRateAll  = 500
	searchBurstAll = 5_000
	patternCost    = 10
	maxAskers      = 4_096

	// defaultHops bounds how far a question is flooded, maxHops what askers can
	// demand.
	defaultHops = 7
	maxHops     = 64

	// maxSeen bounds the results that one search remembers in order not to yield
	// them again; what comes after them is left out.
	maxSeen = 20_000

	// answerWait bounds sending an answer, which may have to dial.
	answerWait = 10 * time.Second

	// maxAsked bounds the words and fields of one question.
	maxAsked = 16
)

// The index of the policy Central.
const (
	// maxIndex bounds the entries of the index, maxHolderIndex those of one
	// holder, maxHolders the holders.
	maxIndex       = 1_000_000
	maxHolderIndex = 100_000
	maxHolders     = 10_000

	// maxBatch bounds the items and IDs in one message to the index.
	maxBatch = 200

	// indexLife is how long the index believes a holder that says nothing more;
	// holders say something every renewEvery.
	indexLife  = 10 * time.Minute
	renewEvery = 3 * time.Minute

	// tellWait bounds waiting for the index to confirm, retryFirst and retryMost
	// the pause after it did not.
	tellWait   = 5 * time.Second
	retryFirst = time.Second
	retryMost  = 30 * time.Second

	// goodbyeWait bounds taking back what was announced, at the end.
	goodbyeWait = time.Second

	// gather is how long changes wait for others before they are told.
	gather = 20 * time.Millisecond
)

// Fetching.
const (
	// maxSources bounds the holders that chunks are fetched from at once,
	// maxTried those of one content that are remembered, the liars among them.
	maxSources = 16
	maxTried   = 256

	// window is how many requests are under way to one holder: enough that the
	// next chunk is on its way while one is verified.
	window = 4

	// silence is how long a holder may send nothing of what it was asked for.
	silence = 15 * time.Second

	// dialWait bounds connecting to a holder.
	dialWait = 10 * time.Second

	// slowest is the least time after which a chunk that one holder was asked for
	// is asked of another that has nothing to do, slowTimes how many times its own
	// pace that one waits, and slowMost the most.
	slowest   = 250 * time.Millisecond
	slowTimes = 4
	slowMost  = 10 * time.Second

	// maxTries is how often a holder that fails is dialled anew, tryAgain the
	// pause, which doubles.
	maxTries = 5
	tryAgain = time.Second

	// patience is how long a fetch goes on without getting anything.
	patience = time.Minute

	// lookFor is how long one search for holders lasts, lookIdle and lookBusy the
	// pauses between two: without a holder and with some.
	lookFor  = 5 * time.Second
	lookIdle = 2 * time.Second
	lookBusy = 30 * time.Second

	// lingers is how long a connection stays open while nothing is wanted.
	lingers = 30 * time.Second

	// maxCached bounds the chunks that a reader remembers.
	maxCached = 16

	// folderFetches is how many files of a folder are fetched at once.
	folderFetches = 4
)

// Replicas.
const (
	// beatEvery is how often a keeper says that it lives; deadAfter without a word
	// it counts as gone. With graceEach they keep the promise that lost replicas
	// are restored within a minute.
	// What changes is told sooner, but at most every beatLeast.
	beatEvery = 8 * time.Second
	beatLeast = time.Second
	deadAfter = 20 * time.Second

	// checkEvery is how often a keeper looks what is missing.
	checkEvery = 2 * time.Second

	// failedWait is how long a keeper that could not fetch a replica leaves it to
	// others.
	failedWait = time.Minute

	// graceEach is after how long one more keeper, the next in rank, thinks itself
	// called if a replica is still missing.
	graceEach = 10 * time.Second

	// maxKeepers bounds the keepers known, maxKept the contents listed by each.
	maxKeepers = 1_000
	maxKept    = 20_000

	// maxItem bounds an advertisement that is asked for, in octets.
	maxItem = 32 << 10

	// keptPage is how many of them are told at a time.
	keptPage = 2_000

	// restoring is how many replicas one keeper fetches at once, restoreWait how
	// long one may take without moving.
	restoring   = 4
	restoreWait = 30 * time.Second

	// listWait bounds asking a keeper what it has, listers how many are asked at
	// once.
	listWait = 15 * time.Second
	listers  = 4
)

// sweepEvery is how often withdrawn contents are looked for.
const sweepEvery = 30 * time.Second
