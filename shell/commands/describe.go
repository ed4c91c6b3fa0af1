package commands

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/credential"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/message"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/protocols/pipe"
	"github.com/juxta-p2p/juxta/shell/console"
	"github.com/juxta-p2p/juxta/shell/interp"
)

// Classes of objects, as env shows them.
const (
	classGroup    = "group"
	classPeerAdv  = "peer advertisement"
	classGroupAdv = "group advertisement"
	classPipeAdv  = "pipe advertisement"
	classAdv      = "advertisement"
	classInput    = "input pipe"
	classOutput   = "output pipe"
	classMessage  = "message"
	classDocument = "document"
	classPage     = "page"
	classListener = "listener"
	classCred     = "credential"
	classCert     = "certificate"
)

// Describe tells the class, a one-line description and the text of an object of
// a variable: XML of advertisements, IDs of groups and pipe ends, the list of
// elements of messages, XML of credentials, PEM of certificates.
func (h *Host) Describe(object any) (class, description, text string) {
	switch x := object.(type) {
	case *peergroup.Group:
		return classGroup, fmt.Sprintf("%s, %s", x.Name(), x.ID().Short()), x.ID().String()
	case *advertisements.Peer:
		return classPeerAdv, fmt.Sprintf("%s, %s", x.Name, x.ID.Short()), xmlText(x)
	case *advertisements.Group:
		return classGroupAdv, fmt.Sprintf("%s, %s", x.Name, x.ID.Short()), xmlText(x)
	case *advertisements.Pipe:
		return classPipeAdv, fmt.Sprintf("%s, %s, %s", x.Name, x.Type, x.ID.Short()), xmlText(x)
	case advertisements.Advertisement:
		return classAdv, x.DocType(), xmlText(x)
	case *pipe.Input:
		return classInput, fmt.Sprintf("%s, %s", x.Pipe().Name, x.Pipe().Type), x.Pipe().ID.String()
	case *pipe.Output:
		return classOutput, fmt.Sprintf("%s, %s", x.Pipe().Name, x.Pipe().Type), x.Pipe().ID.String()
	case *message.Message:
		return classMessage, messageSummary(x), messageText(x, false)
	case Document:
		return classDocument, fmt.Sprintf("%d octets", len(x)), documentText(x)
	case *console.Console:
		return classPage, x.URL(), x.URL()
	case *credential.Credential:
		return classCred, fmt.Sprintf("%s, %s, of %s", x.Subject(), x.Kind, x.Group.Short()), credentialText(x)
	case *x509.Certificate:
		return classCert, fmt.Sprintf("%s, until %s", x.Subject.CommonName, interp.Text(x.NotAfter)), pemText(x)
	case *xferUser:
		return classListener, fmt.Sprintf("files for %s in %s", x.user, x.group.Name()), x.user
	case *shellDaemon:
		return classListener, fmt.Sprintf("remote shell in %s", x.group.Name()), x.group.Name()
	case *listener:
		return classListener, fmt.Sprintf("%s in %s", x.user, x.group.Name()), x.user
	}
	return fmt.Sprintf("%T", object), "", fmt.Sprint(object)
}

// xmlText prints an advertisement with indented lines.
func xmlText(adv advertisements.Advertisement) string {
	b, err := advertisements.MarshalIndent(adv)
	if err != nil {
		return "this advertisement cannot be printed: " + err.Error() + "\n"
	}
	return strings.TrimRight(string(b), "\n") + "\n"
}

// credentialText prints a credential as others see it.
func credentialText(c *credential.Credential) string {
	b, err := xmldoc.MarshalIndent(c)
	if err != nil {
		return "this credential cannot be printed: " + err.Error() + "\n"
	}
	return strings.TrimRight(string(b), "\n") + "\n"
}

// pemText prints certificates.
func pemText(all ...*x509.Certificate) string {
	var b strings.Builder
	for _, x := range all {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: x.Raw}) // a builder takes everything
	}
	return b.String()
}

// certificateText tells people what a certificate says.
func certificateText(x *x509.Certificate) string {
	return fmt.Sprintf("Subject : %s\nIssuer : %s\nSerial : %s\nFrom : %s\nUntil : %s\nKey : %s %s\n",
		x.Subject.CommonName, x.Issuer.CommonName, x.SerialNumber.Text(16), interp.Text(x.NotBefore), interp.Text(x.NotAfter),
		x.PublicKeyAlgorithm, identity.Fingerprint(x.RawSubjectPublicKeyInfo))
}

// documentText is the text of a document, or what stands for octets that are no
// text.
func documentText(d Document) string {
	if utf8.Valid(d) {
		return string(d)
	}
	return fmt.Sprintf("%q", []byte(d))
}

func messageSummary(m *message.Message) string {
	octets := 0
	for e := range m.All() {
		octets += len(e.Body)
	}
	if m.Len() == 1 {
		return fmt.Sprintf("1 element, %d octets", octets)
	}
	return fmt.Sprintf("%d elements, %d octets", m.Len(), octets)
}

// elementName is the name of an element with its namespace.
func elementName(e *message.Element) string {
	if e.Namespace == "" {
		return e.Name
	}
	return e.Namespace + ":" + e.Name
}

// messageText lists the elements of a message, with their contents if those were
// asked for.
func messageText(m *message.Message, contents bool) string {
	var b strings.Builder
	n := 0
	for e := range m.All() {
		n++
		kind := e.Type
		if kind == "" {
			kind = message.TypeOctets
		}
		fmt.Fprintf(&b, "%d: %s  %s  %d octets\n", n, elementName(&e), kind, len(e.Body))
		if contents {
			text := strings.TrimRight(documentText(e.Body), "\n")
			fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(text, "\n", "\n    "))
		}
	}
	return b.String()
}
