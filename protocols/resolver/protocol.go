package resolver

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/xmldoc"
)

// Protocol binds the documents of a question and of its answer to a handler
// name. Q and R are pointers to structs. Make it with [Define]; it is a value
// without state and safe for concurrent use.
type Protocol[Q, R xmldoc.Document] struct {
	name string
	newQ func() Q
	newR func() R
}

// Define makes the protocol of a name, which all peers that speak it must
// spell alike. It panics if Q or R is not a pointer to a struct, which is a
// mistake of the program.
func Define[Q, R xmldoc.Document](name string) Protocol[Q, R] {
	return Protocol[Q, R]{name, maker[Q](), maker[R]()}
}

func maker[D xmldoc.Document]() func() D {
	t := reflect.TypeFor[D]()
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("resolver: Define needs pointers to structs, not %v", t))
	}
	return func() D { return reflect.New(t.Elem()).Interface().(D) }
}

// Name returns the handler name.
func (p Protocol[Q, R]) Name() string { return p.name }

// Response is one received answer of a [Protocol].
type Response[R xmldoc.Document] struct {
	Body R
	From id.Peer // who answered, as the message says
}

// Query is one received question of a [Protocol].
type Query[Q xmldoc.Document] struct {
	Body    Q
	Source  id.Peer // who asked, as the message says
	From    id.Peer // whom it came from: the asker, or who passed it on; that much is as sure as the link
	ToGroup bool    // the whole group was asked, not this peer alone

	// Credential is what the asker shows; zero if absent. It is not verified.
	Credential xmldoc.Node
}

// Handle answers questions at this peer until ctx, which is the lifetime of the
// handler, ends. f is called concurrently, on goroutines on which it may wait;
// its context ends with the group. If it returns an error, nothing is answered:
// [ErrNoAnswer] is the polite way, any other error is logged.
//
// A question to the whole group is also passed on to others by rendezvous, so
// several peers may answer it. One that comes again by another way is not given
// to f again.
func (p Protocol[Q, R]) Handle(ctx context.Context, s *Service, f func(ctx context.Context, q Query[Q]) (R, error)) error {
	_, err := s.Register(ctx, p.name, Handler{Query: func(ctx context.Context, q *RawQuery) Outcome {
		outcome := Done
		if q.ToGroup {
			outcome = PassItOn
		}
		body := p.newQ()
		if err := xmldoc.Unmarshal([]byte(q.Body), body); err != nil {
			s.stats.malformed.Add(1)
			s.log.Debug("question dropped", "protocol", p.name, "from", q.Source.Short(), "error", err)
			return Done
		}
		if !q.Answer() {
			return outcome
		}
		r, err := f(ctx, Query[Q]{Body: body, Source: q.Source, From: q.From, ToGroup: q.ToGroup, Credential: q.Credential})
		if err != nil {
			if !errors.Is(err, ErrNoAnswer) {
				s.log.Warn("a question could not be answered", "protocol", p.name, "error", err)
			}
			return outcome
		}
		doc, err := xmldoc.Marshal(r)
		if err != nil {
			s.log.Error("an answer could not be printed", "protocol", p.name, "error", err)
			return outcome
		}
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		if err := s.SendResponse(ctx, q.Source, &RawResponse{Handler: p.name, ID: q.ID, Body: string(doc)}); err != nil {
			s.log.Debug("an answer could not be sent", "protocol", p.name, "to", q.Source.Short(), "error", err)
		}
		return outcome
	}})
	return err
}

// Ask puts the question to the whole group and yields answers as they come,
// until ctx ends or the caller breaks off. Time running out is the normal end
// and no error; if the question could not be put, that error, which may wrap
// [ErrNobody], is the only thing yielded. The sequence is single-use. The
// asker's own handler is not asked.
func (p Protocol[Q, R]) Ask(ctx context.Context, s *Service, question Q) iter.Seq2[Response[R], error] {
	return p.ask(ctx, s, id.Peer{}, question)
}

// AskPeer puts the question to one peer, and otherwise is like [Protocol.Ask].
// Only answers of that peer are yielded.
func (p Protocol[Q, R]) AskPeer(ctx context.Context, s *Service, to id.Peer, question Q) iter.Seq2[Response[R], error] {
	return p.ask(ctx, s, to, question)
}

func (p Protocol[Q, R]) ask(ctx context.Context, s *Service, to id.Peer, question Q) iter.Seq2[Response[R], error] {
	return func(yield func(Response[R], error) bool) {
		doc, err := xmldoc.Marshal(question)
		if err != nil {
			yield(Response[R]{}, err)
			return
		}
		q := &RawQuery{Handler: p.name, ID: s.NewID(), Body: string(doc)}
		for r, err := range s.Collect(ctx, to, q) {
			if err != nil {
				yield(Response[R]{}, err)
				return
			}
			body := p.newR()
			if err := xmldoc.Unmarshal([]byte(r.Body), body); err != nil {
				s.stats.malformed.Add(1)
				s.log.Debug("answer dropped", "protocol", p.name, "from", r.From.Short(), "error", err)
				continue
			}
			if !yield(Response[R]{Body: body, From: r.From}, nil) {
				return
			}
		}
	}
}

// Collect sends the query to one peer, or to the group if to is zero, and
// yields the responses until ctx ends or the caller breaks off; see
// [Protocol.Ask]. While it runs, they do not go to the handler of the name.
func (s *Service) Collect(ctx context.Context, to id.Peer, q *RawQuery) iter.Seq2[*RawResponse, error] {
	return s.CollectBy(ctx, to, q, func(ctx context.Context) error {
		if to.IsZero() {
			_, err := s.SpreadQuery(ctx, q)
			return err
		}
		return s.SendQuery(ctx, to, q)
	})
}

// CollectBy is [Service.Collect] for a caller that sends the query itself, when
// send is called, and maybe again later. Responses of others than from, unless
// it is zero, are left out. An error of send is the only thing yielded.
func (s *Service) CollectBy(ctx context.Context, from id.Peer, q *RawQuery, send func(ctx context.Context) error) iter.Seq2[*RawResponse, error] {
	return func(yield func(*RawResponse, error) bool) {
		if q.ID == 0 {
			q.ID = s.NewID()
		}
		a := &answers{asked: from, wake: make(chan struct{}, 1)}
		k := askKey{q.Handler, q.ID}
		s.mu.Lock()
		full := len(s.asking) >= maxAsking
		if !full {
			if s.asking == nil {
				s.asking = map[askKey]*answers{}
			}
			s.asking[k] = a
		}
		s.mu.Unlock()
		if full {
			yield(nil, fmt.Errorf("resolver: %w", ErrBusy))
			return
		}
		defer func() {
			s.mu.Lock()
			delete(s.asking, k)
			s.mu.Unlock()
		}()
		if err := send(ctx); err != nil {
			yield(nil, err)
			return
		}
		for {
			select {
			case <-a.wake:
			case <-ctx.Done():
				return
			case <-s.ctx.Done():
				return
			}
			for _, r := range a.take() {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}
