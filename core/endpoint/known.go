package endpoint

import "context"

type knownKey struct{}

// KnownWays returns a context in which the router sends messages only by ways
// that it knows: links, addresses to dial, peers in between. It asks nobody for
// others, which would cost a question to the whole group. Services send so what
// is worth nothing if it takes long, and whatever goes to many peers.
func KnownWays(ctx context.Context) context.Context { return context.WithValue(ctx, knownKey{}, true) }

// OnlyKnownWays reports whether the context is one of [KnownWays].
func OnlyKnownWays(ctx context.Context) bool { return ctx.Value(knownKey{}) != nil }
