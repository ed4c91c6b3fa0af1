package diagnose

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Cause is what keeps one peer from reaching another.
type Cause string

// The causes, as a [Report] concludes them.
const (
	Reachable    Cause = "reachable"        // nothing keeps it
	NameUnknown  Cause = "name unknown"     // nobody knows a peer of that name
	Expired      Cause = "expired"          // what was known of it is too old to be used
	Excluded     Cause = "excluded"         // a rule of one side refuses the other
	ClockOff     Cause = "clock off"        // the clocks differ, so that lifetimes mean nothing
	Unresolved   Cause = "name of host"     // a host name of its address has no address
	Refused      Cause = "refused"          // its machine answers, but nothing listens on the port
	BlackHole    Cause = "no answer"        // nothing answers at its address
	WrongPort    Cause = "wrong port"       // something answers that is not JXTA
	WrongKey     Cause = "wrong key"        // somebody answers who is not that peer
	ProxyRefuses Cause = "proxy refuses"    // the HTTP proxy does not let it through
	QueueFull    Cause = "queue full"       // there is a way, but messages are dropped at its end
	LeaseLost    Cause = "relay lease lost" // its relay does not know it any more
	Away         Cause = "away"             // its relay keeps its messages, and it does not fetch them
	NoRoute      Cause = "no route"         // no address, and nobody knows a way
	Unknown      Cause = "unknown"          // none of these
)

// Step is a stage of the examination.
type Step string

// The steps, in the order in which they are examined.
const (
	StepName          Step = "name"
	StepAdvertisement Step = "advertisement"
	StepRules         Step = "rules"
	StepClock         Step = "clock"
	StepAddress       Step = "address" // one for each address
	StepHops          Step = "hops"    // ways through others
	StepRelay         Step = "relay"
	StepQueue         Step = "queue"
	StepPath          Step = "path" // the link or the way in use
)

// Check is one thing that was looked at.
type Check struct {
	Step    Step
	Subject string        // what was looked at, such as an address or a peer
	OK      bool          // nothing is wrong with it
	Cause   Cause         // what is wrong; "" if OK, or if it does not matter
	Detail  string        // in words
	Err     error         // the error itself, never merged with others; nil if OK
	Witness id.Peer       // who found it out; zero: this peer
	Took    time.Duration // how long it took; zero where that says nothing
}

// Report is the outcome of an examination.
type Report struct {
	Peer   id.Peer   // zero if the name is unknown
	Name   string    // what was asked for, or the name in the peer's advertisement
	Relays []id.Peer // peers through which it was known to be reached
	Checks []Check   // in order
	Cause  Cause
	Why    string // the cause in a sentence
	Advice string // what to do
}

// Add appends a check.
func (r *Report) Add(c Check) { r.Checks = append(r.Checks, c) }

// CauseOf tells what the failure of an attempt to open a link means.
func CauseOf(err error) Cause {
	var de *endpoint.DialError
	var refusal *endpoint.Refusal
	var proxy interface{ ProxyStatus() int }
	switch {
	case err == nil:
		return Reachable
	case errors.As(err, &refusal):
		return Excluded
	case errors.As(err, &proxy):
		return ProxyRefuses
	case !errors.As(err, &de):
		return Unknown
	}
	switch de.Phase {
	case endpoint.PhaseResolve:
		return Unresolved
	case endpoint.PhaseHandshake:
		return WrongPort
	case endpoint.PhaseIdentity:
		return WrongKey
	case endpoint.PhasePolicy:
		return Excluded
	case endpoint.PhaseAddress:
		return NoRoute
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return Refused
	}
	return BlackHole
}

// AddFacts adds what a witness has said.
func (r *Report) AddFacts(f Facts, self id.Peer, now time.Time) {
	who := "peer " + f.Witness.Short()
	same := f.Witness == r.Peer
	if same {
		who = "the peer itself"
	}
	if off := f.Clock.Sub(now); off.Abs() > clockSlack+f.Trip {
		ahead := "ahead of"
		if off < 0 {
			ahead = "behind"
		}
		r.Add(Check{Step: StepClock, Subject: who, Cause: ClockOff, Witness: f.Witness,
			Detail: fmt.Sprintf("its clock is %v %s this one", off.Abs().Round(time.Second), ahead)})
	} else {
		r.Add(Check{Step: StepClock, Subject: who, OK: true, Witness: f.Witness, Detail: "agrees with this peer's"})
	}
	if f.RefusedAsker != "" {
		r.Add(Check{Step: StepRules, Subject: who, Cause: ifSame(same, Excluded), Witness: f.Witness, Detail: "refuses this peer: " + f.RefusedAsker})
	}
	if f.Refused != "" && !same {
		r.Add(Check{Step: StepRules, Subject: who, Cause: Excluded, Witness: f.Witness, Detail: "refuses it: " + f.Refused})
	}
	if f.Full != "" {
		r.Add(Check{Step: StepQueue, Subject: who, Cause: ifSame(same, QueueFull), Witness: f.Witness, Detail: f.Full})
	}
	if same {
		if f.NAT != "" {
			r.Add(Check{Step: StepPath, Subject: who, OK: true, Witness: f.Witness, Detail: "says of its place in the world: " + f.NAT})
		}
		return
	}
	if f.Relays {
		switch {
		case f.Leased && f.QueueLimit > 0 && f.Queued >= f.QueueLimit:
			r.Add(Check{Step: StepQueue, Subject: who, Cause: QueueFull, Witness: f.Witness,
				Detail: fmt.Sprintf("as its relay holds %d messages for it, no more fit, %d were dropped", f.Queued, f.QueueDropped)})
		case f.Leased && !f.Linked:
			r.Add(Check{Step: StepRelay, Subject: who, Cause: Away, Witness: f.Witness,
				Detail: fmt.Sprintf("is its relay and has no link to it; the lease lasts %v more, %d messages wait", f.Left.Round(time.Second), f.Queued)})
		case f.Leased:
			r.Add(Check{Step: StepRelay, Subject: who, OK: true, Witness: f.Witness,
				Detail: fmt.Sprintf("is its relay; the lease lasts %v more, %d messages wait", f.Left.Round(time.Second), f.Queued)})
		case slices.Contains(r.Relays, f.Witness):
			r.Add(Check{Step: StepRelay, Subject: who, Cause: LeaseLost, Witness: f.Witness, Detail: "is a relay and holds no lease of it"})
		}
	}
	if f.Linked {
		r.Add(Check{Step: StepHops, Subject: who, OK: true, Witness: f.Witness, Detail: "has a link to it, " + f.Link})
	}
}

func ifSame(same bool, c Cause) Cause {
	if same {
		return c
	}
	return ""
}

// Conclude names the cause, from what the checks have found: linked says that
// messages reach the peer now.
func (r *Report) Conclude(linked bool) {
	r.Cause = r.conclude(linked)
	r.Why, r.Advice = r.words()
}

func (r *Report) conclude(linked bool) Cause {
	if r.Peer.IsZero() {
		for _, c := range []Cause{ClockOff, Expired} {
			if r.has(c) {
				return c
			}
		}
		return NameUnknown
	}
	// What is wrong though there is a way.
	for _, c := range []Cause{Excluded, QueueFull} {
		if r.has(c) {
			return c
		}
	}
	if linked {
		return Reachable
	}
	// From what tells most to what tells least.
	for _, c := range []Cause{ClockOff, WrongKey, ProxyRefuses, Expired, Away, WrongPort, Refused, LeaseLost, BlackHole, Unresolved} {
		if r.has(c) {
			return c
		}
	}
	if r.tried() {
		return Unknown
	}
	return NoRoute
}

func (r *Report) has(c Cause) bool { return r.first(c) != nil }

func (r *Report) first(c Cause) *Check {
	for i := range r.Checks {
		if r.Checks[i].Cause == c {
			return &r.Checks[i]
		}
	}
	return nil
}

// tried reports whether an address was tried.
func (r *Report) tried() bool {
	for _, c := range r.Checks {
		if c.Step == StepAddress && c.Err != nil && c.Cause != NoRoute {
			return true
		}
	}
	return false
}

// words says the cause in a sentence, and what to do.
func (r *Report) words() (why, advice string) {
	name := r.Name
	if name == "" && !r.Peer.IsZero() {
		name = r.Peer.Short()
	}
	at, detail := "", ""
	if c := r.first(r.Cause); c != nil {
		at, detail = c.Subject, c.Detail
		if detail == "" && c.Err != nil {
			detail = c.Err.Error()
		}
	}
	switch r.Cause {
	case Reachable:
		return name + " can be reached", ""
	case NameUnknown:
		return fmt.Sprintf("no peer called %q is known here, and nobody who was asked knows one", name),
			"check the spelling, or give the peer's ID; if it is new, both need the same rendezvous or LAN"
	case Expired:
		return fmt.Sprintf("what is known of %s is out of date: %s", name, detail),
			"it has probably been gone since; when it is back it is found again by itself"
	case Excluded:
		return strings.TrimSpace(fmt.Sprintf("a rule keeps the two apart: %s %s", at, detail)), "ask whoever set the rule"
	case ClockOff:
		return fmt.Sprintf("the clocks differ: %s: %s", at, detail), "set the clock; lifetimes of advertisements and leases go by it"
	case Unresolved:
		return fmt.Sprintf("the host name in %s has no address", at), "check the name, or the name server of this machine"
	case Refused:
		return fmt.Sprintf("nothing listens at %s, though the machine answers", at), "start the peer there, or check the port"
	case BlackHole:
		return fmt.Sprintf("nothing answers at %s", at),
			"the machine is off, or a firewall or an address translator is between: give both a relay"
	case WrongPort:
		return fmt.Sprintf("what answers at %s does not speak JXTA", at), "check the port"
	case WrongKey:
		return fmt.Sprintf("who answers at %s is not that peer: %s", at, detail),
			"another peer runs at that address now, or somebody pretends; compare fingerprints before you trust it"
	case ProxyRefuses:
		return fmt.Sprintf("the proxy does not let it through: %s", detail), "ask whoever runs the proxy, or use another one"
	case QueueFull:
		return fmt.Sprintf("messages reach its door and wait there, or are dropped: %s %s", at, detail), "let its program read, or send more slowly"
	case LeaseLost:
		return fmt.Sprintf("it is reached through a relay, and %s %s", at, detail),
			"it is offline, or has moved to another relay; its new address spreads by itself"
	case Away:
		return fmt.Sprintf("it is away: %s %s", at, detail), "it gets the messages when it is back"
	case NoRoute:
		return fmt.Sprintf("no address of %s is known that could be dialled, and no peer that leads to it", name),
			"it needs a rendezvous in common with this one; check the seeds of both"
	}
	return fmt.Sprintf("%s cannot be reached, and none of the usual causes was found", name), "see the checks above"
}
