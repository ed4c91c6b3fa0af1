package governance

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
)

// Keyring holds the secrets of a closed group that are in use, and seals and
// opens with them. It knows nothing of networks; [Exchange] fills it. Its methods
// are safe for concurrent use; it needs no closing.
//
// A group's endpoint uses it thus. A closed group has two scopes of the
// endpoint: the inner one, of its real ID, which never leaves the peer, and an
// outer one for each group ID of [Keyring.Addresses]. What a service sends in
// the inner scope, with service name, parameter, peer IDs, advertisements and
// all, is encoded, sealed with aad "source peer ID" or whatever both sides
// know, and sent as the one element of a message to the outer scope of
// [Keyring.Address]; what comes in there is opened, decoded and delivered to the
// inner scope (see endpoint.Scope.Deliver). Rendezvous lease, propagate and
// walk in the outer scope, so that one which serves the group without being a
// member learns an opaque address and sealed octets. When [Keyring.Watch] tells of a
// new epoch, the outer scope of its address is opened in addition, and that of the old one
// closed after the overlap. The group's advertisement must not be published outside.
//
// Sealing shows that the sender is or was a member, not which; it does not tell a
// message from its repetition. Links between Juxta peers show the sender.
type Keyring struct {
	cfg KeyringConfig

	mu       sync.RWMutex
	held     []*held // the one in use last
	watchers map[int]func(*Epoch)
	next     int
}

// KeyringConfig configures a [Keyring]. It is copied.
type KeyringConfig struct {
	// Group is the group. Required.
	Group id.Group

	// Maker reports, as an error, that an epoch must not be used because of who
	// made it; nil takes all. It must not wait.
	Maker func(*Epoch) error

	// Overlap is how long an old secret still opens messages. Zero means 30 s.
	Overlap time.Duration

	// Delay is how long after its arrival a secret is not yet used for sealing, so
	// that others get it meanwhile. Zero means 3 s, negative none. It must be
	// less than Overlap.
	Delay time.Duration
}

// held is an epoch on the ring.
type held struct {
	*Epoch
	sealer cipher.AEAD
	from   time.Time // for sealing
	until  time.Time // for opening; zero for the last one
}

// NewKeyring makes an empty keyring.
func NewKeyring(cfg KeyringConfig) (*Keyring, error) {
	if cfg.Group.IsZero() {
		return nil, errors.New("governance: KeyringConfig.Group is not set")
	}
	if cfg.Overlap <= 0 {
		cfg.Overlap = overlap
	}
	if cfg.Delay == 0 {
		cfg.Delay = sealDelay
	}
	if cfg.Delay >= cfg.Overlap {
		return nil, errors.New("governance: KeyringConfig.Delay is not less than Overlap")
	}
	return &Keyring{cfg: cfg, watchers: map[int]func(*Epoch){}}, nil
}

// Install puts an epoch on the ring and reports whether it is the one in use
// from now on; see [Epoch.Before]. The ones before it go on opening for the
// overlap. The error wraps [ErrGroup] or [ErrMaker].
func (k *Keyring) Install(e *Epoch, now time.Time) (bool, error) {
	if e.group != k.cfg.Group {
		return false, fmt.Errorf("governance: %v is %w", e, ErrGroup)
	}
	if k.cfg.Maker != nil {
		if err := k.cfg.Maker(e); err != nil {
			return false, fmt.Errorf("governance: %v: %w: %w", e, ErrMaker, err)
		}
	}
	watchers, news := k.put(e, now)
	for _, f := range watchers {
		f(e)
	}
	return news, nil
}

func (k *Keyring) put(e *Epoch, now time.Time) (watchers []func(*Epoch), news bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire(now)
	h := &held{Epoch: e, sealer: newSealer(e.derive("seal")), from: now}
	last := k.last()
	switch {
	case last == nil:
	case slices.ContainsFunc(k.held, func(o *held) bool { return o.Hash() == e.Hash() }):
		return nil, false
	case e.Before(last.Epoch):
		if e.number < last.number {
			return nil, false
		}
		// Members of the other half of a group that was divided still use it.
		h.from, h.until = now.Add(k.cfg.Overlap), now.Add(k.cfg.Overlap)
		k.held = slices.Insert(k.held, len(k.held)-1, h)
		k.bound()
		return nil, false
	default:
		last.until = now.Add(k.cfg.Overlap)
		h.from = now.Add(max(k.cfg.Delay, 0))
	}
	k.held = append(k.held, h)
	k.bound()
	for _, f := range k.watchers {
		watchers = append(watchers, f)
	}
	return watchers, true
}

// bound forgets the oldest of too many.
func (k *Keyring) bound() {
	if over := len(k.held) - maxHeld; over > 0 {
		k.held = slices.Delete(k.held, 0, over)
	}
}

// expire forgets what no longer opens anything.
func (k *Keyring) expire(now time.Time) {
	k.held = slices.DeleteFunc(k.held, func(h *held) bool { return !h.opens(now) })
}

func (h *held) opens(now time.Time) bool { return h.until.IsZero() || now.Before(h.until) }

func (k *Keyring) last() *held {
	if len(k.held) == 0 {
		return nil
	}
	return k.held[len(k.held)-1]
}

// Watch has f called with each epoch that comes into use, by whoever installs it,
// until stop is called. f must not wait.
func (k *Keyring) Watch(f func(*Epoch)) (stop func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.next
	k.next++
	k.watchers[n] = f
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.watchers, n)
	}
}

// Epoch returns the last epoch, and false if there is none.
func (k *Keyring) Epoch() (*Epoch, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if h := k.last(); h != nil {
		return h.Epoch, true
	}
	return nil, false
}

// sealing returns what seals now.
func (k *Keyring) sealing(now time.Time) *held {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, h := range slices.Backward(k.held) {
		if !now.Before(h.from) && h.opens(now) {
			return h
		}
	}
	return k.last()
}

// Address returns the group ID to which to send now; see [Epoch.Address]. It is
// false if there is no secret.
func (k *Keyring) Address() (id.Group, bool) {
	if h := k.sealing(time.Now()); h != nil {
		return h.Address(), true
	}
	return id.Group{}, false
}

// Addresses returns the group IDs at which to listen now, the newest last.
func (k *Keyring) Addresses() []id.Group {
	now := time.Now()
	k.mu.RLock()
	defer k.mu.RUnlock()
	var list []id.Group
	for _, h := range k.held {
		if h.opens(now) {
			list = append(list, h.Address())
		}
	}
	return list
}

// Seal returns the sealed text, [Sealed] octets longer, which begins with
// the number of the epoch; all else is as good as random. The receiver must have
// the same aad, which is not sent. The error wraps [ErrNoKey].
func (k *Keyring) Seal(plaintext, aad []byte) ([]byte, error) {
	h := k.sealing(time.Now())
	if h == nil {
		return nil, fmt.Errorf("governance: %w", ErrNoKey)
	}
	return h.seal(plaintext, aad), nil
}

// Open returns what Seal of another member was given. The error wraps [ErrNoKey],
// [ErrStale] or [ErrSealed], or is an [*EpochError], when [Exchange.Want] asks
// for the secret.
func (k *Keyring) Open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < Sealed {
		return nil, fmt.Errorf("governance: %w", ErrSealed)
	}
	number, now := binary.BigEndian.Uint64(sealed), time.Now()
	fit, last := k.fitting(number, now)
	for _, h := range fit {
		if text, err := h.open(sealed, aad); err == nil {
			return text, nil
		}
	}
	switch {
	case last == nil:
		return nil, fmt.Errorf("governance: %w", ErrNoKey)
	case number > last.number:
		return nil, &EpochError{number}
	case len(fit) == 0:
		return nil, fmt.Errorf("governance: %w", ErrStale)
	}
	return nil, fmt.Errorf("governance: %w", ErrSealed)
}

// fitting returns the epochs of a number that open now, and the last one.
func (k *Keyring) fitting(number uint64, now time.Time) (fit []*held, last *held) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, h := range k.held {
		if h.number == number && h.opens(now) {
			fit = append(fit, h)
		}
	}
	return fit, k.last()
}
