package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

var (
	// ErrHandover is the cause if a document is no hand-over: what it says does not
	// agree with itself, or not both keys have signed it.
	ErrHandover = errors.New("invalid hand-over")

	errContext = errors.New("no context")
)

// Reason tells why a key was replaced.
type Reason string

// The reasons of a hand-over.
const (
	Routine     Reason = "routine"     // keys are changed now and then
	Moved       Reason = "moved"       // to another device or another kind of key
	Compromised Reason = "compromised" // others may have the old key; nothing it signs should count any more
)

// Handover is the document by which a peer that has a new key, and so a new ID, says
// that it is the peer with the old one. Both keys have signed it: the old one so that
// nobody takes over a peer, the new one so that nobody is made the successor of a
// peer without knowing it.
//
// It is an advertisement like others, searchable by Old and New. Make it with
// [NewHandover]; whoever receives it calls [VerifyHandover].
type Handover struct {
	Old, New id.Peer
	Reason   Reason
	Time     time.Time // says the signer; in seconds
	Serial   int64     // the how-manieth of a row of hand-overs, from 1, says the signer

	oldKey, newKey []byte // SPKI
	oldSig, newSig []byte
}

// handoverContext is what both keys sign for.
const handoverContext = "juxta/hand-over 1"

// NewHandover says that the peer old will be the peer new. The error wraps
// [ErrHandover] if they are the same, or the serial is none.
func NewHandover(old, new *Identity, why Reason, serial int64) (*Handover, error) {
	h := &Handover{
		Old: old.Peer(), New: new.Peer(), Reason: why, Time: time.Now().UTC().Truncate(time.Second), Serial: serial,
		oldKey: old.SPKI(), newKey: new.SPKI(),
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	var err error
	if h.oldSig, err = old.SignFor(handoverContext, h.parts()...); err != nil {
		return nil, err
	}
	if h.newSig, err = new.SignFor(handoverContext, h.parts()...); err != nil {
		return nil, err
	}
	return h, nil
}

// parts is what is signed.
func (h *Handover) parts() [][]byte {
	return [][]byte{
		[]byte(h.Old.String()), []byte(h.New.String()), h.oldKey, h.newKey, []byte(h.Reason),
		[]byte(strconv.FormatInt(h.Time.Unix(), 10)), []byte(strconv.FormatInt(h.Serial, 10)),
	}
}

func (h *Handover) check() error {
	why := ""
	switch {
	case h.Old == h.New || slices.Equal(h.oldKey, h.newKey):
		why = "it leads nowhere"
	case h.Serial < 1 || h.Serial > maxSerial:
		why = "serial out of range"
	case h.Reason == "" || len(h.Reason) > maxReason:
		why = "reason missing or too long"
	case !h.Old.Proves(h.oldKey) || !h.New.Proves(h.newKey):
		why = "an ID is not made of its key"
	default:
		return nil
	}
	return fmt.Errorf("identity: %w: %s", ErrHandover, why)
}

// VerifyHandover reports whether both peers have signed the hand-over with the keys
// that their IDs are made of. It takes neither side's word for the time. The error
// wraps [ErrHandover], and [ErrSignature] or [ErrKey] if that is the reason.
func VerifyHandover(h *Handover) error {
	if h == nil {
		return fmt.Errorf("identity: %w: none", ErrHandover)
	}
	if err := h.check(); err != nil {
		return err
	}
	for _, s := range []struct{ key, sig []byte }{{h.oldKey, h.oldSig}, {h.newKey, h.newSig}} {
		pub, err := ParseKey(s.key)
		if err == nil {
			err = checkKey(pub, minProofBits)
		}
		if err == nil {
			err = VerifyFor(pub, handoverContext, s.sig, h.parts()...)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrHandover, err)
		}
	}
	return nil
}

// OldKey returns the public key (SPKI) of the peer that was.
func (h *Handover) OldKey() []byte { return slices.Clone(h.oldKey) }

// NewKey returns the public key (SPKI) of the peer that is.
func (h *Handover) NewKey() []byte { return slices.Clone(h.newKey) }

// DocType returns "juxta:Handover".
func (*Handover) DocType() string { return "juxta:Handover" }

// Indexed returns the names of the searchable children.
func (*Handover) Indexed() []string { return []string{"Old", "New"} }

// Key identifies the hand-over by both peers, so that one stranger's does not take
// the place of another's.
func (h *Handover) Key() string {
	if h.Old.IsZero() || h.New.IsZero() {
		return ""
	}
	return h.Old.Unique() + "/" + h.New.Unique()
}

// Map implements [xmldoc.Document]. Nothing is verified.
func (h *Handover) Map(m *xmldoc.Mapper) {
	m.Root(h.DocType())
	m.Value("Old", &h.Old)
	m.Value("New", &h.New)
	reason, at := string(h.Reason), h.Time.Unix()
	m.Filled("Reason", &reason)
	m.Int("Time", &at)
	m.Int("Serial", &h.Serial)
	if m.Reading() {
		h.Reason, h.Time = Reason(reason), time.Unix(at, 0).UTC()
		if len(reason) > maxReason || at < 0 || at > maxTime {
			m.Fail(fmt.Errorf("reason or time: %w", xmldoc.ErrLimit))
		}
	}
	mapOctets(m, "OldKey", &h.oldKey, maxSPKI)
	mapOctets(m, "NewKey", &h.newKey, maxSPKI)
	mapOctets(m, "OldSignature", &h.oldSig, maxRSABits/8)
	mapOctets(m, "NewSignature", &h.newSig, maxRSABits/8)
}

// mapOctets describes octets as base64.
func mapOctets(m *xmldoc.Mapper, name string, v *[]byte, limit int) {
	text := ""
	if !m.Reading() {
		text = base64.StdEncoding.EncodeToString(*v)
	}
	m.Filled(name, &text)
	if !m.Reading() {
		return
	}
	if len(text) > 2*limit {
		m.Fail(fmt.Errorf("%s: %w", name, xmldoc.ErrLimit))
		return
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		m.Fail(fmt.Errorf("%s: %w", name, err))
	}
	*v = b
}
