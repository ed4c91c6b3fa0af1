package membership

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/juxta-p2p/juxta/advertisements/credential"
)

// Ways to apply, by the names of JXSE. The empty one is the usual way of the group.
const (
	MethodString = "StringAuthentication"      // every kind
	MethodNone   = "NoneAuthentication"        // groups without membership
	MethodPasswd = "PasswdAuthentication"      // password groups
	MethodEngine = "EngineAuthentication"      // certificate groups: the group's password
	MethodKey    = "CertificateAuthentication" // certificate groups: the own certificate; not of JXSE
)

// Names of the fields, see [Authenticator.Fields].
const (
	FieldIdentity = "Identity"
	FieldPassword = "Password"
)

// anybody is the name of those who give none, as with JXSE.
const anybody = "nobody"

// Field is something that an applicant fills in.
type Field struct {
	Name    string
	Secret  bool   // it is not shown while it is typed
	Default string // what it is if nothing is set; "" means that it must be set
}

// Authenticator is an application for membership: fields to be filled in, in order.
// Its methods are safe for concurrent use.
type Authenticator struct {
	s      *Service
	method string
	fields []Field

	mu     sync.Mutex
	values map[string]string
}

// Apply begins an application. method is one of the Method constants, or "" for the
// usual way of the group. The error wraps [ErrMethod].
//
// A group without membership asks for a FieldIdentity, which is "nobody" unless it is
// set; a password group for FieldIdentity and FieldPassword; a certificate group for
// nothing if this peer has accepted a certificate, else for the FieldPassword of the
// group, if it has one. JXSE asks there for the password of a key store and a key's
// name too, which are matters of that peer alone.
func (s *Service) Apply(method string) (*Authenticator, error) {
	a := &Authenticator{s: s, method: method, values: map[string]string{}}
	ways := map[Kind][]string{
		None: {"", MethodString, MethodNone}, Password: {"", MethodString, MethodPasswd},
		Certificate: {"", MethodString, MethodEngine, MethodKey},
	}
	if !slices.Contains(ways[s.kind], method) {
		return nil, fmt.Errorf("membership: %w: %q", ErrMethod, clip(method))
	}
	switch s.kind {
	case None:
		a.fields = []Field{{Name: FieldIdentity, Default: anybody}}
	case Password:
		a.fields = []Field{{Name: FieldIdentity}, {Name: FieldPassword, Secret: true}}
	case Certificate:
		if method == "" {
			a.method = MethodKey
			if s.plain.sealed != nil && !s.invited() {
				a.method = MethodEngine
			}
		}
		if a.method == MethodKey {
			break
		}
		if s.plain.sealed == nil {
			return nil, fmt.Errorf("membership: %w: %q: the group has no password", ErrMethod, clip(method))
		}
		a.fields = []Field{{Name: FieldPassword, Secret: true}}
	}
	return a, nil
}

// Fields returns what is to be filled in, in the order in which to ask.
func (a *Authenticator) Fields() []Field { return slices.Clone(a.fields) }

// Set fills in a field; upper and lower case of its name are the same. The error
// wraps [ErrField].
func (a *Authenticator) Set(name, value string) error {
	i := slices.IndexFunc(a.fields, func(f Field) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		return fmt.Errorf("membership: %w: %q", ErrField, clip(name))
	}
	if len(value) > maxValue {
		return fmt.Errorf("membership: %w: %s has %d octets, %d are the limit", ErrField, a.fields[i].Name, len(value), maxValue)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.values[a.fields[i].Name] = value
	return nil
}

// Ask fills in each field that is not set yet with what ask returns, whose error ends
// it. Nothing, for a field with a default, leaves it at that.
func (a *Authenticator) Ask(ask func(Field) (string, error)) error {
	for _, f := range a.fields {
		a.mu.Lock()
		_, set := a.values[f.Name]
		a.mu.Unlock()
		if set {
			continue
		}
		v, err := ask(f)
		if err != nil {
			return fmt.Errorf("membership: %s: %w", f.Name, err)
		}
		if v == "" && f.Default != "" {
			continue
		}
		if err := a.Set(f.Name, v); err != nil {
			return err
		}
	}
	return nil
}

// Load fills in fields from lines of the form "field: value". Blanks around both are
// left out, as are empty lines and those that begin with "#". The error wraps
// [ErrField]; it never repeats a value.
func (a *Authenticator) Load(r io.Reader) error {
	lines := bufio.NewScanner(io.LimitReader(r, maxFile+1))
	lines.Buffer(nil, maxFile)
	size, n := 0, 0
	for lines.Scan() {
		n++
		if size += len(lines.Bytes()) + 1; size > maxFile {
			return fmt.Errorf("membership: %w: a file of more than %d octets", ErrField, maxFile)
		}
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\uFEFF"))
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("membership: %w: line %d is not of the form field: value", ErrField, n)
		}
		if err := a.Set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("membership: reading the fields: %w", err)
	}
	return nil
}

// Ready returns nil if [Service.Join] can be called, else why not: the error wraps
// [ErrIncomplete], [ErrNotInvited] or, as JXSE tries the key at this point,
// [ErrPassword].
func (a *Authenticator) Ready() error {
	for _, f := range a.fields {
		if _, ok := a.value(f.Name); !ok {
			return fmt.Errorf("membership: %w: %s", ErrIncomplete, f.Name)
		}
	}
	switch a.method {
	case MethodKey:
		if !a.s.invited() {
			return fmt.Errorf("membership: %w", ErrNotInvited)
		}
	case MethodString, MethodEngine:
		if a.s.kind == Certificate {
			password, _ := a.value(FieldPassword)
			_, err := a.s.plain.open(password)
			return err
		}
	}
	return nil
}

func (a *Authenticator) value(name string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v, ok := a.values[name]; ok {
		return v, true
	}
	for _, f := range a.fields {
		if f.Name == name && f.Default != "" {
			return f.Default, true
		}
	}
	return "", false
}

// make makes the credential.
func (a *Authenticator) make() (*credential.Credential, error) {
	name, _ := a.value(FieldIdentity)
	password, _ := a.value(FieldPassword)
	switch a.s.kind {
	case None:
		return named(a.s, credential.None, name)
	case Password:
		if err := checkLogin(a.s.logins, name, password); err != nil {
			return nil, err
		}
		return named(a.s, credential.Password, name)
	case Certificate:
		if a.method == MethodKey {
			return a.s.sign()
		}
		return a.s.signShared(password)
	}
	return nil, errors.New("membership: a kind that is none")
}

func named(s *Service, k credential.Kind, name string) (*credential.Credential, error) {
	if len(name) > maxName {
		return nil, fmt.Errorf("membership: %w: a name of %d octets", ErrField, len(name))
	}
	c, err := credential.New(k, s.cfg.Group, s.cfg.Peer, name)
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	return c, nil
}

// clip bounds what an error repeats.
func clip(s string) string { return s[:min(len(s), 64)] }
