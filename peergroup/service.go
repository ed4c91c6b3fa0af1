package peergroup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Service is something that members of a group do for each other, known by a module
// specification: its question and its answer. Q and R are pointers to structs. Make it
// with [DefineService]; it is a value without state and safe for concurrent use.
//
// A question goes to one provider, whichever is there, and to another one if that fails.
// It may so be worked on twice; a provider that minds must notice by itself.
type Service[Q, R xmldoc.Document] struct {
	spec       id.ModuleSpec
	name       string
	newQ, newR func() xmldoc.Document
}

// DefineService makes the service of a specification, on which all who speak it must
// agree; name is for people. It panics if Q or R is not a pointer to a struct, or spec is
// zero, which is a mistake of the program.
func DefineService[Q, R xmldoc.Document](spec id.ModuleSpec, name string) Service[Q, R] {
	if spec.IsZero() {
		panic("peergroup: DefineService without a specification")
	}
	return Service[Q, R]{spec, name, maker[Q](), maker[R]()}
}

func maker[T xmldoc.Document]() func() xmldoc.Document {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("peergroup: %v is not a pointer to a struct", t))
	}
	return func() xmldoc.Document { return reflect.New(t.Elem()).Interface().(xmldoc.Document) }
}

// Spec returns the specification.
func (s Service[Q, R]) Spec() id.ModuleSpec { return s.spec }

// Request is a question to a service.
type Request[Q xmldoc.Document] struct {
	Body Q
	From id.Peer // who asks, as the message says; this peer itself too
}

// Serve answers questions at this peer, and offers that to the group, until ctx, which is
// the lifetime of the service, ends: usually that of a module. f is called concurrently,
// on goroutines on which it may wait; its context ends with the caller's deadline, five
// minutes at most, with ctx and with the group. What stops a module waits for the calls of
// services that ended with it, and so does leaving the group. An error of f goes to the caller as a
// [CallError]: a [*Fault] with its code, any other with its words alone.
//
// At most 64 questions are worked on at a time, 16 of them of one caller; others hear
// that this peer is busy. The error wraps [ErrLoaded] if the specification is served
// already, or is one of [Group.Offer].
func (s Service[Q, R]) Serve(ctx context.Context, g *Group, f func(ctx context.Context, r Request[Q]) (R, error)) error {
	serve := func(ctx context.Context, from id.Peer, body []byte) ([]byte, error) {
		q := s.newQ()
		if err := xmldoc.Unmarshal(body, q); err != nil {
			return nil, &Fault{Code: codeMalformed, Words: err.Error()}
		}
		r, err := f(ctx, Request[Q]{Body: q.(Q), From: from})
		if err != nil {
			return nil, err
		}
		return xmldoc.Marshal(r)
	}
	if err := g.desk.serve(ctx, s.spec, s.name, serve); err != nil {
		return fmt.Errorf("peergroup: serving %s: %w", s.spec, err)
	}
	return g.Offer(ctx, Offer{Spec: s.spec, Name: s.name})
}

// CallOptions say how a service is called. The zero value is what [Service.Call] does.
type CallOptions struct {
	// Peer is the provider; zero means any.
	Peer id.Peer

	// Attempt is how long one provider has for its answer. Zero means 5 s.
	Attempt time.Duration

	// Attempts is how many providers are tried. Zero means 4.
	Attempts int
}

// Call puts a question to a provider of the service in the group: this peer itself if it
// serves, one that answered before, or one found by what it offers. If it does not
// answer within five seconds, cannot be reached, or is busy, others are tried, four
// in all, until ctx ends or, if that has no deadline, half a minute has passed. The
// provider that answered is told in the second result.
//
// The error wraps [ErrNoProvider] if nobody was found, is a [*CallError] if the last one
// tried said no or nothing, or wraps ctx's cause.
func (s Service[Q, R]) Call(ctx context.Context, g *Group, question Q) (R, id.Peer, error) {
	return s.CallWith(ctx, g, question, CallOptions{})
}

// CallWith is [Service.Call] with options.
func (s Service[Q, R]) CallWith(ctx context.Context, g *Group, question Q, how CallOptions) (R, id.Peer, error) {
	var none R
	doc, err := xmldoc.Marshal(question)
	if err != nil {
		return none, id.Peer{}, fmt.Errorf("peergroup: calling %s: %w", s.name, err)
	}
	if len(doc) > MaxRequest {
		return none, id.Peer{}, fmt.Errorf("peergroup: calling %s: a question of %d octets: %w", s.name, len(doc), xmldoc.ErrLimit)
	}
	how.Attempt, how.Attempts = cmp.Or(how.Attempt, callAttempt), cmp.Or(how.Attempts, callAttempts)
	var r R
	read := func(body []byte) error {
		x := s.newR()
		if err := xmldoc.Unmarshal(body, x); err != nil {
			return err
		}
		r = x.(R)
		return nil
	}
	from, err := g.desk.call(ctx, s.spec, doc, how, read)
	if err != nil {
		return none, from, fmt.Errorf("peergroup: calling %s: %w", s.name, err)
	}
	return r, from, nil
}

// ErrNoProvider is the cause when nobody in the group offers a service, as far as could be
// found out.
var ErrNoProvider = errors.New("nobody offers it")

// Fault is an error that a service gives to its caller: a code for programs, one word,
// and words for people. Those that are too long are cut.
type Fault struct{ Code, Words string }

// Error implements error.
func (f *Fault) Error() string {
	if f.Code == "" {
		return f.Words
	}
	return f.Code + ": " + f.Words
}

// Codes of faults that are not the service's. The first three are tried at another provider.
const (
	codeBusy      = "juxta.busy"
	codeUnknown   = "juxta.unknown" // not served here (any more)
	codeLate      = "juxta.late"    // the caller's deadline has passed while it was worked on
	codeMalformed = "juxta.malformed"
	codeFailed    = "juxta.failed" // an error that is no Fault
)

// CallError tells what became of a call at the last provider that was tried.
type CallError struct {
	Provider id.Peer
	Tried    int    // providers, this one included
	Code     string // of the [Fault], if the service said no with one
	Words    string // what the provider says; empty if it said nothing
	Err      error  // why there is no answer, if it said nothing; nil else
}

// Error implements error.
func (e *CallError) Error() string {
	s := "peer " + e.Provider.Short()
	switch {
	case e.Err != nil:
		s += ": " + e.Err.Error()
	case e.Code != "":
		s += ": " + e.Code + ": " + e.Words
	default:
		s += ": " + e.Words
	}
	if e.Tried > 1 {
		s += fmt.Sprintf(" (%d were tried)", e.Tried)
	}
	return s
}

// Unwrap returns Err.
func (e *CallError) Unwrap() error { return e.Err }

// ErrSilent is the cause when a provider did not answer in its time.
var ErrSilent = errors.New("no answer in its time")

// CallSpec asks a service whose question and answer this program does not know as types: both are
// documents of any shape, as a shell or a bridge to other systems has them. Otherwise it is
// [Service.CallWith]; an answer that is no XML counts as none.
func (g *Group) CallSpec(ctx context.Context, spec id.ModuleSpec, question xmldoc.Node, how CallOptions) (xmldoc.Node, id.Peer, error) {
	doc, err := question.Marshal()
	if err == nil && len(doc) > MaxRequest {
		err = fmt.Errorf("a question of %d octets: %w", len(doc), xmldoc.ErrLimit)
	}
	if err != nil {
		return xmldoc.Node{}, id.Peer{}, fmt.Errorf("peergroup: calling %s: %w", spec.Short(), err)
	}
	how.Attempt, how.Attempts = cmp.Or(how.Attempt, callAttempt), cmp.Or(how.Attempts, callAttempts)
	var answer xmldoc.Node
	from, err := g.desk.call(ctx, spec, doc, how, func(body []byte) (err error) {
		answer, err = xmldoc.ParseNode(body)
		return err
	})
	if err != nil {
		return xmldoc.Node{}, from, fmt.Errorf("peergroup: calling %s: %w", spec.Short(), err)
	}
	return answer, from, nil
}
