package governance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/protocols/resolver"
)

// keyProtocol is how members of closed groups get the secret. It is spoken in
// the group above, since one who has no secret cannot speak in the closed one;
// what it shows there is that one peer asks another, and not about which group.
var keyProtocol = resolver.Define[*keyQuery, *keyAnswer]("juxta.keys")

// keyQuery asks a member which epoch it has; with Sealed it asks for it.
type keyQuery struct {
	Nonce  [16]byte
	Hint   [16]byte
	Number uint64   // of the asker's epoch, 0 if it has none
	Same   [16]byte // see [Epoch.sameness]
	Card   card
	Sealed []byte // a keyRequest
}

// Map implements [xmldoc.Document].
func (q *keyQuery) Map(m *xmldoc.Mapper) {
	m.Root("juxta:KeyQuery")
	fixed(m, "Nonce", q.Nonce[:])
	fixed(m, "Hint", q.Hint[:])
	mapNumber(m, &q.Number)
	fixed(m, "Same", q.Same[:])
	m.Element("Card", q.Card.describe)
	mapSealed(m, &q.Sealed)
}

// keyAnswer tells which epoch a member has; Sealed holds it. Hints are for one who
// has the same.
type keyAnswer struct {
	Number uint64
	Same   [16]byte
	Card   card
	Sealed []byte // an epoch
	Hints  []byte // IDs of rendezvous of the group, one a line, sealed with the epoch's secret
}

// Map implements [xmldoc.Document].
func (a *keyAnswer) Map(m *xmldoc.Mapper) {
	m.Root("juxta:KeyAnswer")
	mapNumber(m, &a.Number)
	fixed(m, "Same", a.Same[:])
	m.Element("Card", a.Card.describe)
	mapSealed(m, &a.Sealed)
	hints := octets(a.Hints)
	m.OptionalValue("Hints", &hints)
	if len(hints) > maxHintOctets {
		m.Fail(fmt.Errorf("hints: %w", ErrTooLarge))
	}
	a.Hints = hints
}

// keyRequest is why one should be given the secret.
type keyRequest struct{ Credential xmldoc.Node }

// Map implements [xmldoc.Document].
func (r *keyRequest) Map(m *xmldoc.Mapper) {
	m.Root("juxta:KeyRequest")
	m.Node("Credential", &r.Credential)
	if r.Credential.Size() > maxCredential {
		m.Fail(fmt.Errorf("credential: %w", ErrTooLarge))
	}
}

// fixed is a child element of as many octets as b has.
func fixed(m *xmldoc.Mapper, name string, b []byte) {
	o := octets(b)
	m.Value(name, &o)
	if !m.Reading() || m.Err() != nil {
		return
	}
	if len(o) != len(b) {
		m.Fail(fmt.Errorf("%s: %w", name, ErrMalformed))
		return
	}
	copy(b, o)
}

func mapNumber(m *xmldoc.Mapper, n *uint64) {
	v := int64(min(*n, maxNumber))
	m.Int("Number", &v)
	if v < 0 || v > maxNumber {
		m.Fail(fmt.Errorf("%w number", ErrMalformed))
		return
	}
	*n = uint64(v)
}

func mapSealed(m *xmldoc.Mapper, b *[]byte) {
	o := octets(*b)
	m.OptionalValue("Sealed", &o)
	if len(o) > maxSealed {
		m.Fail(fmt.Errorf("sealed: %w", ErrTooLarge))
	}
	*b = o
}

// Lobby is where members of closed groups ask each other for secrets: one for
// the peer, in the group above the closed ones. Close it after its exchanges.
type Lobby struct {
	resolver *resolver.Service
	cancel   context.CancelFunc
	limits   limiters

	mu        sync.Mutex
	exchanges []*Exchange // replaced, never changed
}

// NewLobby begins to answer in the group of the resolver.
func NewLobby(r *resolver.Service) (*Lobby, error) {
	if r == nil {
		return nil, errors.New("governance: the resolver is not set")
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Lobby{resolver: r, cancel: cancel, limits: newLimiters()}
	if err := keyProtocol.Handle(ctx, r, l.answer); err != nil {
		cancel()
		return nil, fmt.Errorf("governance: %w", err)
	}
	return l, nil
}

// Close ends the answering. It is idempotent.
func (l *Lobby) Close() { l.cancel() }

func (l *Lobby) add(x *Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exchanges = append(slices.Clone(l.exchanges), x)
}

func (l *Lobby) remove(x *Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exchanges = slices.DeleteFunc(slices.Clone(l.exchanges), func(o *Exchange) bool { return o == x })
}

// answer finds the group that a question is about.
func (l *Lobby) answer(_ context.Context, q resolver.Query[*keyQuery]) (*keyAnswer, error) {
	if q.ToGroup || !l.limits.allow(q.From) {
		return nil, resolver.ErrNoAnswer
	}
	l.mu.Lock()
	list := l.exchanges
	l.mu.Unlock()
	for _, x := range list {
		if hintOf(x.group, q.Body.Nonce[:]) == q.Body.Hint {
			return x.answer(q.Source, q.Body)
		}
	}
	return nil, resolver.ErrNoAnswer
}

// ask puts a question to one peer.
func (l *Lobby) ask(ctx context.Context, p id.Peer, q *keyQuery) (*keyAnswer, error) {
	for r, err := range keyProtocol.AskPeer(ctx, l.resolver, p, q) {
		if err != nil {
			return nil, fmt.Errorf("governance: asking %s: %w", p.Short(), err)
		}
		return r.Body, nil
	}
	return nil, fmt.Errorf("governance: asking %s: %w", p.Short(), resolver.ErrNoAnswer)
}
