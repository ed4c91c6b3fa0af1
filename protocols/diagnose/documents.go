package diagnose

import (
	"strings"
	"time"
	"unicode"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// question asks what a peer knows of another.
type question struct{ Target id.Peer }

// Map implements [xmldoc.Document].
func (q *question) Map(m *xmldoc.Mapper) {
	m.Root("juxta:WhyQuery")
	m.Value("Target", &q.Target)
}

// Facts are what one peer, the witness, knows of another.
type Facts struct {
	Peer    id.Peer
	Witness id.Peer       // who says so; not in the document
	Trip    time.Duration // how long asking took; not in the document

	Clock time.Time // of the witness

	// Linked says that the witness has a link to the peer; Link tells over what
	// protocol, and Encrypted whether others can read it.
	Linked    bool
	Link      string
	Encrypted bool

	// Relays says that the witness is a relay. Leased, that the peer holds a lease
	// there, of which Left is left; Queued messages wait there for it, of which at
	// most QueueLimit can; QueueDropped were dropped.
	Relays       bool
	Leased       bool
	Left         time.Duration
	Queued       int64
	QueueLimit   int64
	QueueDropped int64

	// Refused is the rule by which the witness refuses the peer; "" if it does not.
	Refused string

	// RefusedAsker is the rule by which the witness refuses the asker.
	RefusedAsker string

	// Full are queues of the witness itself that are full and drop messages, in
	// words.
	Full string

	// NAT tells how the witness is connected to the world, in words.
	NAT string
}

// Map implements [xmldoc.Document].
func (f *Facts) Map(m *xmldoc.Mapper) {
	m.Root("juxta:WhyAnswer")
	m.Value("Peer", &f.Peer)
	clock, left := f.Clock.UnixMilli(), f.Left.Milliseconds()
	m.Int("Clock", &clock)
	m.OptionalBool("Linked", &f.Linked)
	m.Optional("Link", &f.Link)
	m.OptionalBool("Encrypted", &f.Encrypted)
	m.OptionalBool("Relays", &f.Relays)
	m.OptionalBool("Leased", &f.Leased)
	m.OptionalInt("Left", &left)
	m.OptionalInt("Queued", &f.Queued)
	m.OptionalInt("QueueLimit", &f.QueueLimit)
	m.OptionalInt("QueueDropped", &f.QueueDropped)
	m.Optional("Refused", &f.Refused)
	m.Optional("RefusedAsker", &f.RefusedAsker)
	m.Optional("Full", &f.Full)
	m.Optional("NAT", &f.NAT)
	if m.Reading() {
		f.Clock = time.UnixMilli(clock)
		f.Left = time.Duration(min(max(left, 0), int64(24*time.Hour/time.Millisecond))) * time.Millisecond
		for _, s := range []*string{&f.Link, &f.Refused, &f.RefusedAsker, &f.Full, &f.NAT} {
			*s = clip(*s)
		}
	}
}

// clip makes a text from outside fit to be shown: one line of bounded length.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}
