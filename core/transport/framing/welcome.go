package framing

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
)

// Greeting is the first token of a welcome; its first octet tells JXTA from TLS
// and HTTP.
const Greeting = "JXTAHELLO"

// Version is the version of the welcome that Juxta and JXSE write.
const Version = "1.1"

// ErrWelcome is the cause of every error of reading a welcome, except errors of
// the reader itself.
var ErrWelcome = errors.New("malformed welcome")

// Welcome is the line with which each side of a TCP connection introduces
// itself. Nothing in it is authenticated.
type Welcome struct {
	// Dest is the address the dialler was asked to reach, with service and
	// parameter if any; from an acceptor, the address it sees the dialler at.
	Dest endpoint.Address

	// Public is the address under which the sender says it can be dialled;
	// port 0 means that it cannot.
	Public endpoint.Address

	Peer        id.Peer // who the sender says it is
	NoPropagate bool    // set: the sender wants no propagated messages; ignored by JXSE

	// Version is the last token of a welcome that was read.
	Version string
}

// AppendTo appends the line, with its CR LF, to b, always in [Version]. The
// addresses must be such as [endpoint.ParseAddress] returns, which have no
// blanks.
func (w Welcome) AppendTo(b []byte) []byte {
	b = append(b, Greeting...)
	b = append(b, ' ')
	b = w.Dest.AppendTo(b)
	b = append(b, ' ')
	b = w.Public.AppendTo(b)
	b = append(b, ' ')
	b = append(b, w.Peer.String()...)
	if w.NoPropagate {
		b = append(b, " 1 "...)
	} else {
		b = append(b, " 0 "...)
	}
	b = append(b, Version...)
	return append(b, "\r\n"...)
}

// ReadWelcome reads one welcome; the next octet of r is then the first of the
// first package. It takes any version with at least five tokens, and gives up
// at the first octet that cannot belong to a welcome.
//
// At the end of the stream the error is io.EOF, inside the line it wraps
// io.ErrUnexpectedEOF; a malformed line wraps [ErrWelcome].
func ReadWelcome(r *bufio.Reader) (Welcome, error) {
	line := make([]byte, 0, 256)
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF && len(line) == 0:
			return Welcome{}, io.EOF
		case err == io.EOF:
			return Welcome{}, fmt.Errorf("framing: %w: %w", ErrWelcome, io.ErrUnexpectedEOF)
		case err != nil:
			return Welcome{}, fmt.Errorf("framing: reading the welcome: %w", err)
		}
		n := len(line)
		if n > 0 && line[n-1] == '\r' {
			if c != '\n' {
				return Welcome{}, unwelcome("CR without LF")
			}
			return parseWelcome(string(line[:n-1]))
		}
		switch {
		case n < len(Greeting) && c != Greeting[n]:
			return Welcome{}, unwelcome("it does not start with %s", Greeting)
		case c < ' ' && c != '\r' || c == 0x7f:
			return Welcome{}, unwelcome("control octet %#02x", c)
		case n >= MaxWelcome-1:
			return Welcome{}, unwelcome("longer than %d octets", MaxWelcome)
		}
		line = append(line, c)
	}
}

// parseWelcome reads the line without CR LF.
func parseWelcome(line string) (Welcome, error) {
	if !utf8.ValidString(line) {
		return Welcome{}, unwelcome("not UTF-8")
	}
	t := strings.Split(line, " ")
	if len(t) < minTokens || len(t) > maxTokens {
		return Welcome{}, unwelcome("%d tokens", len(t))
	}
	if t[0] != Greeting {
		return Welcome{}, unwelcome("it does not start with %s", Greeting)
	}
	w := Welcome{Version: t[len(t)-1], NoPropagate: len(t) > minTokens && t[4] == "1"}
	if w.Version == "" || len(w.Version) > maxVersion {
		return Welcome{}, unwelcome("a version of %d octets", len(w.Version))
	}
	var err error
	if w.Dest, err = endpoint.ParseAddress(t[1]); err != nil {
		return Welcome{}, fmt.Errorf("framing: %w: destination: %w", ErrWelcome, err)
	}
	if w.Public, err = endpoint.ParseAddress(t[2]); err != nil {
		return Welcome{}, fmt.Errorf("framing: %w: public address: %w", ErrWelcome, err)
	}
	if w.Peer, err = id.ParsePeer(t[3]); err != nil {
		return Welcome{}, fmt.Errorf("framing: %w: peer: %w", ErrWelcome, err)
	}
	return w, nil
}

func unwelcome(format string, args ...any) error {
	return fmt.Errorf("framing: %w: %s", ErrWelcome, fmt.Sprintf(format, args...))
}
