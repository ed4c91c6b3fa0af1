package store

import (
	"math"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
)

// Record is an advertisement as the store sees it: a text with the values by
// which it is found. The store does not read the text.
//
// Records that the store returns share their Document and Fields with it;
// they must not be modified. What is passed to [Scope.Put] is copied.
type Record struct {
	Kind     advertisements.Kind    // in which of the three stores it lives
	Key      string                 // what makes it one thing across versions; not empty
	Fields   []advertisements.Field // what it can be found by; of repeated names the last counts, empty values do not
	Document []byte                 // the advertisement itself

	// Origin is the peer that gave us the record; zero if it is our own.
	Origin id.Peer

	// Lifetime is when our copy ends, to the millisecond. A record whose time
	// has come is refused, and so is the zero time; [Forever] never comes.
	Lifetime time.Time

	// Expiration is the most that a copy at another peer may live. It is
	// clipped to the lifetime; 0 means that the record is for us alone.
	Expiration time.Duration

	// Quiet keeps the record out of [Scope.Entries] and [Scope.Changes]: others
	// may ask for it, but nobody is told that it is here.
	Quiet bool
}

// Remote returns how long a copy handed out at the time now may live: the
// expiration, or what is left of the lifetime if that is less. The result is
// never negative.
func (r Record) Remote(now time.Time) time.Duration {
	return max(0, min(r.Expiration, r.Lifetime.Sub(now)))
}

// Query says which records are wanted.
type Query struct {
	Kind advertisements.Kind

	// Attr is the name of a field, exactly as written; empty asks for every
	// record of the kind.
	Attr string

	// Value is the wanted value: "" or "*" for every record that has the
	// field, a text without * for equality, otherwise a pattern in the sense
	// of [advertisements.Match]. It has no meaning without Attr.
	Value string

	Limit int // most records returned; 0 means all
}

// forever is the time that never comes, in milliseconds since 1970. JXSE's
// infinite lifetime is the same number.
const forever = math.MaxInt64

// Forever returns the lifetime that never ends.
func Forever() time.Time { return time.UnixMilli(forever) }

// Deadline returns the time that lies ms milliseconds after now, the form in
// which lifetimes travel. Sums beyond the range of 64 bits, and 2^63-1 itself,
// give [Forever]; negative ms gives a time before now.
func Deadline(now time.Time, ms int64) time.Time {
	n := now.UnixMilli()
	if ms > 0 && n > forever-ms || ms == forever {
		return Forever()
	}
	if ms < 0 && n < math.MinInt64-ms {
		return time.UnixMilli(math.MinInt64)
	}
	return time.UnixMilli(n + ms)
}

// Remaining returns the milliseconds from now to the deadline, the reverse of
// [Deadline]: 2^63-1 for [Forever], 0 for a deadline that has passed.
func Remaining(now, deadline time.Time) int64 {
	d := millis(deadline)
	if d == forever {
		return forever
	}
	n := now.UnixMilli()
	switch {
	case d <= n:
		return 0
	case n < 0 && d > forever+n:
		return forever
	}
	return d - n
}

// Duration returns ms milliseconds as a duration; what does not fit becomes the
// longest duration there is, 292 years, and negative numbers become 0.
func Duration(ms int64) time.Duration {
	switch {
	case ms <= 0:
		return 0
	case ms > math.MaxInt64/int64(time.Millisecond):
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}

// millis is t in milliseconds since 1970, clipped to the range of 64 bits.
func millis(t time.Time) int64 {
	const limit, rest = forever / 1000, forever % 1000 * int(time.Millisecond)
	switch s := t.Unix(); {
	case s > limit, s == limit && t.Nanosecond() >= rest:
		return forever
	case s <= -limit:
		return -forever
	}
	return t.UnixMilli()
}
