package relay

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
)

// verb is what a client wants.
type verb uint8

const (
	connect    verb = iota + 1 // a lease, or more of it
	disconnect                 // no lease any more
	makeID                     // a peer ID for itself, which is not served
)

// about says of which relay a client wants the advertisement.
type about uint8

const (
	aboutNobody about = iota
	aboutRelay        // of the one that is asked
	aboutOther        // of some other one
)

// request is what a client asks a relay for. Its text form is
//
//	connect[,<lease in ms>[,keep|flush,true|other]]
//	disconnect
//	pid
//
// read without regard to case, in the welcome of a link, in the address of a poll,
// or in a message.
type request struct {
	verb  verb
	lease time.Duration // zero: as long as it may be
	flush bool          // what is kept for the client is to be forgotten
	about about
}

// errRequest is the cause when a request cannot be read.
var errRequest = errors.New("not a request for a lease")

// parseRequest reads a request as JXSE 2.5 does: the first word counts as far as
// it is known, and of the flags how they begin and end. A lease that is not a
// number is none.
func parseRequest(s string) (request, error) {
	if len(s) > maxRequest {
		return request{}, errRequest
	}
	s = strings.ToLower(s)
	switch {
	case s == "disconnect":
		return request{verb: disconnect}, nil
	case s == "pid":
		return request{verb: makeID}, nil
	case !strings.HasPrefix(s, "connect"):
		return request{}, errRequest
	}
	r := request{verb: connect}
	_, rest, _ := strings.Cut(s, ",")
	lease, flags, _ := strings.Cut(rest, ",")
	if len(lease) > maxDigits {
		return request{}, errRequest
	}
	if ms, err := strconv.ParseInt(lease, 10, 64); err == nil && ms > 0 {
		r.lease = time.Duration(min(ms, maxGranted.Milliseconds())) * time.Millisecond
	}
	r.flush = strings.HasPrefix(flags, "flush")
	switch {
	case strings.HasSuffix(flags, "true"):
		r.about = aboutRelay
	case strings.HasSuffix(flags, "other"):
		r.about = aboutOther
	}
	return r, nil
}

// String returns the text form, as JXSE 2.5 writes it.
func (r request) String() string {
	switch r.verb {
	case disconnect:
		return "disconnect"
	case makeID:
		return "pid"
	}
	b := append(make([]byte, 0, 32), "connect,"...)
	if r.lease > 0 {
		b = strconv.AppendInt(b, r.lease.Milliseconds(), 10)
	}
	if r.flush {
		b = append(b, ",flush"...)
	} else {
		b = append(b, ",keep"...)
	}
	switch r.about {
	case aboutRelay:
		b = append(b, ",true"...)
	case aboutOther:
		b = append(b, ",other"...)
	}
	return string(b)
}

// message returns the message that asks.
func (r request) message() *message.Message {
	return message.New(message.Text(space, elemRequest, r.String()))
}

// at returns the address by which a link is opened that asks.
func (r request) at(relay endpoint.Address, net id.Group) endpoint.Address {
	return relay.With("EndpointService:"+net.Unique(), service+"/"+r.String())
}

// asked returns the request in the address under which a link was dialled, if
// there is one.
func asked(dialled endpoint.Address, net id.Group) (text string, ok bool) {
	if dialled.Service != "EndpointService:"+net.Unique() {
		return "", false
	}
	name, text, ok := strings.Cut(dialled.Param, "/")
	return text, ok && name == service
}
