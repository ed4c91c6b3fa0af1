package governance

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Kind says what an act does.
type Kind string

// The kinds of acts. Acts of other kinds, which later versions may know, are
// kept and spread and have no effect.
const (
	Exclude   Kind = "exclude"   // a peer, a key or a range of addresses is shut out
	Readmit   Kind = "readmit"   // an exclusion ends
	Withdraw  Kind = "withdraw"  // content is not to be kept or shown
	Reinstate Kind = "reinstate" // content is no longer withdrawn
	Appoint   Kind = "appoint"   // a key becomes that of a moderator
	Dismiss   Kind = "dismiss"   // a moderator is one no more
	SetQuorum Kind = "quorum"    // how many moderators must sign an act
)

// Mode says who may be a member.
type Mode string

// The modes of groups.
const (
	Open   Mode = "open"   // everybody who is not excluded
	Closed Mode = "closed" // whoever is admitted; what members send is sealed
)

func (m Mode) valid() bool { return m == Open || m == Closed }

// Act is one decision of the moderators. Which fields count depends on its kind.
// Whoever proposes one with [Service.Propose] sets Kind, Reason and what the kind
// needs; the rest is filled in.
type Act struct {
	Kind   Kind
	Reason string // for people; optional, at most MaxReason octets

	// Peer, Key and Range are who an Exclude shuts out: a peer, the holder of a
	// public key (SubjectPublicKeyInfo) under whatever ID, those who come from a
	// range of addresses, or all that are set. A Peer whose ID is made of a
	// key stands for the key: it is excluded in the IDs of every group. Key alone
	// is the moderator of Appoint and Dismiss.
	Peer  id.Peer
	Key   []byte
	Range netip.Prefix

	// From is when an Exclude begins, zero means at once; Term is how long it
	// lasts, zero means for ever. Both are kept to the millisecond.
	From time.Time
	Term time.Duration

	// Target is the exclusion that a Readmit ends.
	Target ID

	// Content is the hash of what is withdrawn or reinstated.
	Content Hash

	// Quorum is the new one of SetQuorum, from 1 to the number of moderators.
	Quorum int

	// Kept are the acts on which a dismissed moderator's signature goes on to
	// count, by the first 16 octets of their IDs.
	Kept []Brief

	Group  id.Group
	Author Hash      // of the public key of the moderator who wrote it
	Time   time.Time // to the millisecond
	Random [16]byte  // makes each act another one
}

// Brief is the first 16 octets of the ID of an act.
type Brief [16]byte

// Brief returns the first 16 octets of the ID.
func (i ID) Brief() Brief { return Brief(i[:16]) }

// Until returns when an exclusion ends; zero means never.
func (a *Act) Until() time.Time {
	if a.Term == 0 {
		return time.Time{}
	}
	return a.begin().Add(a.Term)
}

func (a *Act) begin() time.Time {
	if a.From.IsZero() {
		return a.Time
	}
	return a.From
}

// forgotten reports whether the act has ended so long ago that it need not be known.
func (a *Act) forgotten(now time.Time) bool {
	return a.Term != 0 && now.After(a.Until().Add(Margin))
}

// Map implements [xmldoc.Document].
func (a *Act) Map(m *xmldoc.Mapper) {
	m.Root("juxta:Act")
	kind, quorum := string(a.Kind), int64(a.Quorum)
	written, from, term := millis(a.Time), millis(a.From), a.Term.Milliseconds()
	random, key, kept := octets(a.Random[:]), octets(a.Key), octets(joinBriefs(a.Kept))
	m.Filled("Kind", &kind)
	m.Value("Group", &a.Group)
	m.Value("Author", &a.Author)
	m.Int("Time", &written)
	m.Value("Random", &random)
	m.Optional("Reason", &a.Reason)
	m.OptionalValue("Peer", &a.Peer)
	m.OptionalValue("Key", &key)
	m.OptionalValue("Range", &a.Range)
	optionalInt(m, "From", &from)
	optionalInt(m, "Term", &term)
	m.OptionalValue("Target", &a.Target)
	m.OptionalValue("Content", &a.Content)
	optionalInt(m, "Quorum", &quorum)
	m.OptionalValue("Kept", &kept)
	if m.Reading() && m.Err() == nil {
		var err error
		a.Kind, a.Quorum = Kind(kind), int(min(max(quorum, -1), MaxSigners+1))
		if a.Key = key; len(key) == 0 {
			a.Key = nil
		}
		if len(random) != len(a.Random) || copy(a.Random[:], random) == 0 {
			m.Fail(fmt.Errorf("%w random octets", ErrMalformed))
		}
		if a.Kept, err = cutBriefs(kept); err != nil {
			m.Fail(err)
		}
		if a.Time, err = clock(written); err != nil {
			m.Fail(err)
		}
		if from != 0 {
			if a.From, err = clock(from); err != nil {
				m.Fail(err)
			}
		}
		if term < 0 || term > MaxTerm.Milliseconds() {
			m.Fail(fmt.Errorf("term: %w", ErrTooLarge))
		} else {
			a.Term = time.Duration(term) * time.Millisecond
		}
	}
	if m.Err() == nil {
		m.Fail(a.check())
	}
}

// check reports what is wrong with the act by itself.
func (a *Act) check() error {
	switch {
	case a.Group.IsZero() || a.Author.IsZero() || a.Time.IsZero():
		return fmt.Errorf("%w act: group, author or time is not set", ErrMalformed)
	case a.Kind == "" || len(a.Kind) > maxKind:
		return fmt.Errorf("%w act: kind", ErrMalformed)
	case len(a.Reason) > MaxReason:
		return fmt.Errorf("reason: %w", ErrTooLarge)
	case len(a.Key) > maxKey:
		return fmt.Errorf("key: %w", ErrTooLarge)
	case a.Term < 0 || a.Term > MaxTerm || a.begin().Sub(a.Time) > maxAhead || a.Time.Sub(a.begin()) > MaxTerm:
		return fmt.Errorf("term: %w", ErrTooLarge)
	case len(a.Kept) > MaxKept || len(a.Kept) > 0 && a.Kind != Dismiss:
		return fmt.Errorf("kept acts: %w", ErrTooLarge)
	}
	if a.Term != 0 && a.Kind != Exclude && a.Kind != Readmit {
		return fmt.Errorf("%w act: only an exclusion has a term", ErrMalformed)
	}
	var bad bool
	switch a.Kind {
	case Exclude:
		bad = a.Peer.IsZero() && a.Key == nil && !a.Range.IsValid()
		if a.Range.IsValid() && (a.Range != a.Range.Masked() || a.Range.Addr().Is4In6()) {
			bad = true
		}
		if a.Key != nil && !bad {
			_, err := identity.ParseKey(a.Key)
			return err
		}
	case Readmit:
		bad = a.Target.IsZero()
	case Withdraw, Reinstate:
		bad = a.Content.IsZero()
	case Appoint, Dismiss:
		if a.Key == nil {
			bad = true
			break
		}
		_, err := identity.ParseKey(a.Key)
		return err
	case SetQuorum:
		bad = a.Quorum < 1 || a.Quorum > MaxSigners
	}
	if bad {
		return fmt.Errorf("%w act: what %q needs is missing or wrong", ErrMalformed, a.Kind)
	}
	return nil
}

// limit is how many octets the document of the act may have.
func (a *Act) limit() int {
	if a.Kind == Dismiss {
		return maxDismissal
	}
	return maxAct
}

// String tells the act in words, without its reason.
func (a *Act) String() string {
	var b strings.Builder
	b.WriteString(string(a.Kind))
	add := func(s string) { b.WriteByte(' '); b.WriteString(s) }
	switch a.Kind {
	case Exclude:
		if !a.Peer.IsZero() {
			add("peer " + a.Peer.Short())
		}
		if a.Key != nil {
			add("key " + HashOf(a.Key).Short())
		}
		if a.Range.IsValid() {
			add("addresses " + a.Range.String())
		}
		if a.Term == 0 {
			add("for ever")
		} else {
			add("for " + a.Term.String())
		}
	case Readmit:
		add(a.Target.Short())
	case Withdraw, Reinstate:
		add("content " + a.Content.Short())
	case Appoint, Dismiss:
		add("moderator " + HashOf(a.Key).Short())
	case SetQuorum:
		add(fmt.Sprint(a.Quorum))
	}
	return b.String()
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

var errClock = errors.New("time out of range")

// clock reads a time, which must be after 1970 and well before the end of what
// can be computed with.
func clock(ms int64) (time.Time, error) {
	if ms <= 0 || ms > (maxYear-1970)*365*24*3600*1000 {
		return time.Time{}, fmt.Errorf("%w: %w", ErrMalformed, errClock)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// optionalInt is a decimal number that is written unless it is zero.
func optionalInt(m *xmldoc.Mapper, name string, v *int64) {
	if m.Reading() || *v != 0 {
		m.OptionalInt(name, v)
	}
}

func joinBriefs(list []Brief) []byte {
	b := make([]byte, 0, len(list)*len(Brief{}))
	for _, k := range list {
		b = append(b, k[:]...)
	}
	return b
}

func cutBriefs(b []byte) ([]Brief, error) {
	if len(b)%len(Brief{}) != 0 {
		return nil, fmt.Errorf("%w list of acts", ErrMalformed)
	}
	var list []Brief
	for c := range slices.Chunk(b, len(Brief{})) {
		list = append(list, Brief(c))
	}
	return list, nil
}
