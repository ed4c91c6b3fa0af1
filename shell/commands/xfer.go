package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/endpoint"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/shell/interp"
	"github.com/juxta-p2p/juxta/shell/xfer"
)

// xferDaemon begins the names of the variables that hold who takes files.
const xferDaemon = "jxtaxfer"

// reportWait is how long the other side has, after the last block, to say that it
// has read all.
const reportWait = 30 * time.Second

func xferCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "xfer", Family: familyPipes, Summary: "sends files to users of other shells, also of the original one",
		Args: "register USER | login USER | logout USER | search | send USER FILE", MinArgs: 1, MaxArgs: 3, File: func(n int) bool { return n == 2 },
		Options: []interp.Option{
			{Letter: "o", Name: "output", Value: "FOLDER", Help: "with login: where files go (default: xfer in the home of this peer)"},
			{Letter: "s", Name: "stream", Help: "with login and send: over a socket; with register: a secure pipe"},
			{Letter: "p", Name: "propagate", Help: "with register: all who log in as this user get the files"},
			{Letter: "e", Name: "endpoint", Help: "with login: without a pipe, for senders that know the address of this peer"},
			{Letter: "d", Name: "address", Value: "URL", Help: "with send: to whom logged in with -e at this address"},
			{Letter: "u", Name: "as", Value: "USER", Help: "with send: as this user (default: the name of this peer)"},
			{Letter: "b", Name: "block", Value: "OCTETS", Help: "with send: how much goes into one message (default 15360)"},
			interp.WaitOption("how long to look for the user (default 10s, with search and register 3s)"),
		},
		Complete: h.completeXfer,
		Details: "Who logs in takes what anybody sends, up to 4 GiB a file and 16 GiB in all, until\nlogout. " +
			"Names are reduced, nothing is overwritten: a second notes.txt is notes.txt.copy.\nNobody checks what comes, and the original shell does not say whether it got it: between\nJuxta peers share and fetch are better.\n" +
			"JSON: send gives name, octets, took (seconds), arrived (yes, or unknown), to, peer_id;\nsearch gives user, type, pipe_id; incoming files are notices with file, name, from, octets, took, peer_id, proven.",
		Examples: []interp.Example{
			{Line: "xfer register me; xfer login me", Text: "takes files"},
			{Line: "xfer send ann photo.jpg", Text: "sends one to ann", Before: "ann> xfer register ann\nann> xfer login -o in ann"},
			{Line: "xfer search", Text: "lists who can be found", Before: "ann> xfer register ann"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			want := map[string]int{"register": 2, "login": 2, "logout": 2, "search": 1, "send": 3}
			verb := strings.ToLower(c.Args[0].Text)
			if want[verb] != len(c.Args) {
				return interp.Usagef("xfer does not know what that means").Try("usage: %s", c.Command.Usage())
			}
			switch verb {
			case "search":
				return h.searchUsers(ctx, c, xferKind)
			case "register":
				t := advertisements.Unicast
				switch {
				case c.Flag("p") && c.Flag("s"):
					return interp.Usagef("a pipe to everybody cannot be secure: -p and -s exclude each other")
				case c.Flag("p"):
					t = advertisements.Propagate
				case c.Flag("s"):
					t = advertisements.UnicastSecure
				}
				return h.registerNew(ctx, c, xferKind, c.Args[1].Text, t)
			case "login":
				return h.loginXfer(ctx, c, c.Args[1].Text)
			case "logout":
				v, err := h.session.Vars.Remove(userVariable(xferDaemon, c.Args[1].Text, h.group()))
				if err != nil {
					return interp.NotFoundf("%s is not logged in", c.Args[1].Text).Try("xfer login %s", c.Args[1].Text)
				}
				interp.CloseObject(v.Object)
				return nil
			}
			return h.sendXfer(ctx, c, c.Args[1].Text, c.Args[2].Text)
		},
	}
}

func (h *Host) completeXfer(_ *interp.Session, n int) []interp.Suggestion {
	if n > 0 {
		return nil
	}
	return []interp.Suggestion{{Text: "register", Description: "publish a user"}, {Text: "login", Description: "take files"},
		{Text: "logout", Description: "take no more"}, {Text: "search", Description: "who can be found"}, {Text: "send", Description: "send a file"}}
}

// xferUser is a user who is logged in and takes files.
type xferUser struct {
	user     string
	group    *peergroup.Group
	files    *xfer.Receiver
	stop     []func() // ends what brings blocks
	bringing sync.WaitGroup
}

// Close logs the user out. It is idempotent.
func (u *xferUser) Close() error {
	for _, stop := range u.stop {
		stop()
	}
	err := u.files.Close() // before the wait: what brings blocks may wait to hand one over
	u.bringing.Wait()
	return err
}

// sender is a peer from which files come. One that has not proven who it is is another
// one than itself, so that nobody else writes into its files.
func sender(p id.Peer, proven bool) string {
	if !proven {
		return unprovenMark + p.String()
	}
	return p.String()
}

const unprovenMark = "?"

func (u *xferUser) take(from id.Peer, proven bool, m *message.Message) {
	_ = u.files.Take(sender(from, proven), m) // what is wrong is counted
}

// loginXfer takes files for a user.
func (h *Host) loginXfer(ctx context.Context, c *interp.Call, user string) error {
	if c.Flag("e") && c.Flag("s") {
		return interp.Usagef("either over a socket or without a pipe: -s and -e exclude each other")
	}
	g := h.group()
	name := userVariable(xferDaemon, user, g)
	if _, ok := h.session.Vars.Get(name); ok {
		return interp.Failf("%s is logged in already", user).Try("xfer logout %s", user)
	}
	folder := c.Value("o", "")
	if folder == "" {
		folder = filepath.Join(h.peer.Home(), xferFolder) // of the working folder, if there is no home
	}
	u := &xferUser{user: user, group: g}
	var err error
	if u.files, err = xfer.NewReceiver(xfer.ReceiverConfig{Folder: folder, Done: func(f xfer.File) { h.showFile(u, f) }}); err != nil {
		return interp.Because(err, "cannot put files there").Try("login -o FOLDER %s", user)
	}
	switch {
	case c.Flag("e"):
		err = u.listenEndpoint()
	case c.Flag("s"):
		err = h.listenSocket(ctx, u)
	default:
		err = h.listenPipe(ctx, u)
	}
	if err == nil {
		err = h.session.Store(name, u)
	}
	if err != nil {
		_ = u.Close()
		return err
	}
	c.Notice("files for %s go to %s", user, u.files.Folder())
	return nil
}

// xferFolder is the folder of the home in which files arrive.
const xferFolder = "xfer"

func (u *xferUser) listenEndpoint() error {
	remove, err := u.group.Endpoint().Handle(xfer.Service, u.user, func(_ context.Context, in endpoint.Incoming) {
		u.take(in.From, in.Secured || in.Link != nil && in.Link.Proven() && in.Link.Peer() == in.From, in.Message)
	})
	if err != nil {
		return interp.Because(err, "cannot listen")
	}
	u.stop = append(u.stop, remove)
	return nil
}

func (h *Host) listenPipe(ctx context.Context, u *xferUser) error {
	adv, err := h.registered(u.group, xferKind, u.user)
	if err != nil {
		return err
	}
	in, err := u.group.Pipes().Listen(ctx, adv)
	if err != nil {
		return pipeError(err, "cannot log in "+u.user)
	}
	u.stop = append(u.stop, in.Close)
	u.bringing.Go(func() {
		for m, err := range in.Messages(context.Background()) { // ends with the input
			if err != nil {
				return
			}
			u.take(m.From, m.Proven, m.Message)
		}
	})
	return nil
}

// maxStreams bounds the sockets that bring files at a time.
const maxStreams = 16

func (h *Host) listenSocket(ctx context.Context, u *xferUser) error {
	adv, err := h.registered(u.group, xferKind, u.user)
	if err != nil {
		return err
	}
	if adv.Type == advertisements.Propagate {
		return interp.Failf("%s was registered with a pipe to everybody, which carries no sockets", u.user)
	}
	l, err := u.group.Sockets().Listen(ctx, adv)
	if err != nil {
		return pipeError(err, "cannot log in "+u.user)
	}
	life, cancel := context.WithCancel(context.Background())
	u.stop = append(u.stop, cancel, func() { _ = l.Close() })
	room := make(chan struct{}, maxStreams)
	u.bringing.Go(func() {
		for n := 0; ; n++ {
			conn, err := l.AcceptConn(life)
			if err != nil {
				return
			}
			select {
			case room <- struct{}{}:
			default:
				_ = conn.Close()
				continue
			}
			from := fmt.Sprintf("%s#%d", sender(conn.Peer(), conn.Proven()), n)
			u.bringing.Go(func() {
				defer func() { <-room }()
				end := context.AfterFunc(life, func() { _ = conn.Close() })
				defer end()
				defer func() { _ = conn.Close() }()
				r := message.NewReader(conn)
				for {
					b, err := r.Next()
					if err != nil {
						return
					}
					m, err := message.Decode(b)
					if err != nil || errors.Is(u.files.Take(from, m), xfer.ErrClosed) {
						return
					}
				}
			})
		}
	})
	return nil
}

// showFile tells of a file that has come.
func (h *Host) showFile(u *xferUser, f xfer.File) {
	peer, unproven := strings.CutPrefix(f.From, unprovenMark)
	peer, _, _ = strings.Cut(peer, "#")
	from := oneLine(strings.Join(strings.Fields(f.Info.User), " "))
	if from == "" || from == xfer.Anonymous {
		from = "somebody"
	}
	name := xfer.PlainName(f.Info.Name)
	fields := []interp.Field{{Name: "file", Value: f.Path}, {Name: "name", Value: name}, {Name: "from", Value: from}, {Name: "to", Value: u.user},
		{Name: "octets", Value: f.Info.Size}, {Name: "took", Value: f.Took}, {Name: "peer_id", Value: peer}, {Name: "proven", Value: !unproven}}
	switch {
	case f.Err == nil:
		h.session.Notice("xfer", fmt.Sprintf("%s from %s: %s", interp.Text(f.Info.Size)+" octets", from, f.Path), fields...)
	case errors.Is(f.Err, xfer.ErrClosed):
	default:
		h.session.Notice("xfer", fmt.Sprintf("%s from %s is not taken: %s", name, from, strings.TrimPrefix(f.Err.Error(), "xfer: ")),
			append(fields, interp.Field{Name: "error", Value: f.Err.Error()})...)
	}
}

// sendXfer sends a file to a user.
func (h *Host) sendXfer(ctx context.Context, c *interp.Call, user, file string) error {
	wait, err := c.Duration("w", dialWait)
	if err != nil {
		return err
	}
	block, err := c.Int("b", 1, xfer.DefaultBlock)
	if err != nil {
		return err
	}
	if block > xfer.MaxBlock {
		return interp.Usagef("-b wants %d octets at most", xfer.MaxBlock)
	}
	f, err := os.Open(file)
	if err != nil {
		return interp.Because(err, "cannot read it")
	}
	defer func() { _ = f.Close() }()
	about, err := f.Stat()
	if err != nil {
		return interp.Because(err, "cannot read it")
	}
	if !about.Mode().IsRegular() {
		return interp.Failf("%s is no file", file).Try("share takes folders")
	}
	g := h.group()
	info := xfer.Info{Peer: h.peer.ID().String(), User: c.Value("u", g.PeerName()), Name: filepath.Base(file), Size: about.Size(), Block: int64(block)}
	way, err := h.xferWay(ctx, c, g, user, wait)
	if err != nil {
		return err
	}
	defer way.close()
	b, begun := newBar(c), time.Now()
	var sent func(int64)
	if b.terminal {
		defer b.clear()
		sent = func(octets int64) { b.transfer(octets, about.Size(), begun) }
	}
	err = xfer.Send(ctx, f, info, way.put, sent)
	arrived := arrivedUnknown
	if err == nil && way.finish != nil {
		arrived, err = way.finish(ctx)
	}
	b.clear()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, pipe.ErrDropped), errors.Is(err, pipe.ErrLost):
		return interp.Because(err, "%s did not get all of it", user)
	case errors.Is(err, xfer.ErrTooLarge):
		return interp.Because(err, "%s cannot be sent", file).Try("share it; others fetch it")
	case err != nil:
		return pipeError(err, "cannot send to "+user)
	}
	peer := ""
	if !way.peer().IsZero() {
		peer = way.peer().String()
	}
	c.Row(interp.Field{Name: "name", Value: info.Name}, interp.Field{Name: "octets", Value: info.Size}, interp.Field{Name: "took", Value: time.Since(begun)},
		interp.Field{Name: "arrived", Value: arrived}, interp.Field{Name: "to", Value: user}, interp.Field{Name: "peer_id", Value: peer, Short: way.peer().Short()})
	return nil
}

// What is known of a file that was sent.
const (
	arrivedYes     = "yes" // the other side has read all of it
	arrivedUnknown = "unknown"
)

// xferWay is a way on which blocks go to a user.
type xferWay struct {
	put    func(context.Context, *message.Message) error
	finish func(context.Context) (arrived string, err error) // waits until the other side has read all; may be nil
	peer   func() id.Peer
	close  func()
}

func (h *Host) xferWay(ctx context.Context, c *interp.Call, g *peergroup.Group, user string, wait time.Duration) (*xferWay, error) {
	if url := c.Value("d", ""); url != "" {
		addr, err := endpoint.ParseAddress(url)
		if err != nil {
			return nil, interp.Usagef("%q is no address", url).Try("xfer send -d tcp://host:port USER FILE")
		}
		return &xferWay{close: func() {}, peer: func() id.Peer { return id.Peer{} }, put: firstAlone(func(ctx context.Context, m *message.Message) error {
			return g.Endpoint().SendTo(ctx, addr, xfer.Service, user, m)
		})}, nil
	}
	if c.Flag("s") {
		way, err := h.dialUser(ctx, xferKind, user, wait, func(ctx context.Context, adv *advertisements.Pipe) (opened, error) {
			conn, err := g.Sockets().Dial(ctx, adv)
			if err != nil {
				return opened{}, err
			}
			return opened{conn: conn}, nil
		})
		if err != nil {
			return nil, err
		}
		return socketWay(way), nil
	}
	way, err := h.dialUser(ctx, xferKind, user, wait, h.openPipe)
	if err != nil {
		return nil, err
	}
	return pipeWay(way), nil
}

func socketWay(way opened) *xferWay {
	return &xferWay{peer: way.conn.Peer, close: way.close, finish: func(ctx context.Context) (string, error) {
		short, cancel := context.WithTimeout(ctx, reportWait)
		defer cancel()
		if err := way.conn.Flush(short); err != nil {
			return "", err
		}
		return arrivedYes, nil
	}, put: func(ctx context.Context, m *message.Message) error {
		b, err := m.MarshalBinary()
		if err != nil {
			return err
		}
		end := context.AfterFunc(ctx, func() { _ = way.conn.SetDeadline(time.Unix(1, 0)) })
		defer end()
		_, err = way.conn.Write(b)
		return err
	}}
}

// alone is how long the second block waits for the first to be handled by an original
// shell.
const alone = time.Second

// firstAlone sends the first message some time before the others. JXSE hands messages to
// several threads, and its shell drops blocks that it gets before it has made a file
// for the first one.
func firstAlone(send func(context.Context, *message.Message) error) func(context.Context, *message.Message) error {
	var first time.Time
	return func(ctx context.Context, m *message.Message) error {
		if first.IsZero() {
			first = time.Now()
			return send(ctx, m)
		}
		if left := alone - time.Since(first); left > 0 {
			timer := time.NewTimer(left)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return send(ctx, m)
	}
}

// reports counts what became of blocks.
type reports struct {
	mu      sync.Mutex
	pending int
	failed  error
	changed chan struct{} // gets a value, if there is room, when none is pending
}

func (r *reports) add(n int, err error) {
	r.mu.Lock()
	r.pending += n
	if r.failed == nil {
		r.failed = err
	}
	none := r.pending == 0
	r.mu.Unlock()
	if none {
		select {
		case r.changed <- struct{}{}:
		default:
		}
	}
}

func (r *reports) state() (pending int, failed error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending, r.failed
}

// pipeWay has Juxta peers report each block, which original ones do not.
func pipeWay(way opened) *xferWay {
	r := &reports{changed: make(chan struct{}, 1)}
	silent := way.out.Pipe().Type == advertisements.Propagate
	unreported := firstAlone(way.out.Send)
	return &xferWay{close: way.close, peer: way.out.Peer,
		put: func(ctx context.Context, m *message.Message) error {
			if silent {
				return unreported(ctx, m)
			}
			r.add(1, nil)
			err := way.out.SendReported(ctx, m, func(err error) { r.add(-1, err) })
			if err != nil {
				r.add(-1, nil)
			}
			if errors.Is(err, pipe.ErrNoReports) {
				silent = true
				return unreported(ctx, m)
			}
			return err
		},
		finish: func(ctx context.Context) (string, error) {
			if silent {
				return arrivedUnknown, nil
			}
			timer := time.NewTimer(reportWait)
			defer timer.Stop()
			for {
				pending, failed := r.state()
				switch {
				case errors.Is(failed, pipe.ErrUnconfirmed):
					return arrivedUnknown, nil
				case failed != nil:
					return "", failed
				case pending == 0:
					return arrivedYes, nil
				}
				select {
				case <-r.changed:
				case <-timer.C:
					return arrivedUnknown, nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			}
		},
	}
}
