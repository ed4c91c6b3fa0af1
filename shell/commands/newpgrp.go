package commands

import (
	"bufio"
	"context"
	"io"
	"os"
	"strings"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/core/identity"
	"github.com/juxta-p2p/juxta/core/xmldoc"
	"github.com/juxta-p2p/juxta/peergroup"
	"github.com/juxta-p2p/juxta/peergroup/access"
	"github.com/juxta-p2p/juxta/peergroup/membership"
	"github.com/juxta-p2p/juxta/shell/interp"
)

func newpgrpCommand(h *Host) *interp.Command {
	return &interp.Command{
		Name: "newpgrp", Family: familyGroups, Summary: "makes the advertisement of a new group",
		Args: "[NAME]", MaxArgs: 1, Complete: nothing,
		Options: []interp.Option{
			{Letter: "n", Name: "name", Value: "NAME", Help: "name of the group"},
			{Letter: "m", Name: "description", Value: "TEXT", Help: "what it is for"},
			{Letter: "p", Name: "parent", Help: "put the ID of the current group into that of the new one"},
			{Letter: "j", Name: "join", Help: "join it at once"},
			{Name: "moderated", Help: "this peer moderates it, and may shut others out; see ban"},
			{Name: "closed", Help: "it is moderated, only those who are invited can join it, and nobody else sees anything of it"},
			{Name: "certificates", Help: "whom this peer invites is a member; see invite"},
			{Name: "users", Value: "FILE", Help: "who knows a password is a member: lines \"name: password\""},
			{Name: "rights", Value: "FILE", Help: "who may do what: lines \"operation: name,name\""},
			fieldsOption(),
		},
		Details: "Others find the group when it is joined. Whoever made it is its rendezvous while being\na member. Without --certificates or --users everybody can be a member. Passwords of a\ngroup can be read by everybody who sees its advertisement; they keep nobody out who\nmeans it. For operations and names of rights see docs/groups.md.\n" +
			"JSON: variable, name, group_id; with -j also role, connected.",
		Examples: []interp.Example{{Line: "newpgrp -j crew", Text: "makes a group and joins it"},
			{Line: "crew = newpgrp -n crew; join crew", Text: "the same in two steps"},
			{Line: "newpgrp --closed -j club", Text: "makes a group for the invited"},
			{Line: "newpgrp -j --certificates crew", Text: "a group for those who are invited"}},
		Run: func(ctx context.Context, c *interp.Call) error {
			name := c.Value("n", c.Text(0))
			if name == "" {
				return interp.Usagef("newpgrp wants a name for the group").Try("usage: %s", c.Command.Usage())
			}
			parent := id.Group{}
			if c.Flag("p") {
				parent = h.group().ID()
			}
			charter, err := charterOf(c)
			if err != nil {
				return err
			}
			adv := &advertisements.Group{ID: id.NewGroup(parent), Spec: id.SpecGenericGroup, Name: name, Desc: c.Value("m", "")}
			spec := peergroup.Spec{Name: name, Description: adv.Desc, ID: adv.ID, Charter: charter}
			if err := ruled(c, &spec); err != nil {
				return err
			}
			if !spec.Membership.IsZero() {
				adv.SetService(id.ClassMembership, spec.Membership)
			}
			if !spec.Access.IsZero() {
				adv.SetService(id.ClassAccess, spec.Access)
			}
			if charter != nil {
				spec.Apply = h.application(ctx, c, adv)
				return h.ownGroup(ctx, c, spec)
			}
			h.mu.Lock()
			h.made[adv.ID] = spec
			h.mu.Unlock()
			if c.Flag("j") {
				return h.join(ctx, c, adv, true, 0)
			}
			return c.Made(adv, "advertisement of the group "+name,
				interp.Field{Name: "name", Value: name}, interp.Field{Name: "group_id", Value: adv.ID.String()})
		},
	}
}

// ruled puts the rules of the options into the specification of a group.
func ruled(c *interp.Call, spec *peergroup.Spec) error {
	users := c.Value("users", "")
	switch {
	case c.Flag("closed") && (users != "" || c.Flag("certificates")):
		return interp.Usagef("a closed group has invitations of its own, and neither certificates nor passwords")
	case users != "" && c.Flag("certificates"):
		return interp.Usagef("a group has either certificates or passwords")
	case users != "":
		lines, err := readLines(users)
		if err != nil {
			return err
		}
		if spec.Membership, err = membership.Passwords(lines); err != nil {
			return interp.Because(err, "%s", users)
		}
	case c.Flag("certificates"):
		var err error
		if spec.Issuer, err = membership.NewIssuer(spec.Name, identity.Ed25519); err != nil {
			return interp.Because(err, "cannot make the group's key")
		}
		spec.Membership = membership.Certificates(spec.Issuer)
	}
	file := c.Value("rights", "")
	if file == "" {
		return nil
	}
	lines, err := readLines(file)
	if err != nil {
		return err
	}
	rights := map[string][]string{}
	for op, names := range lines {
		rights[op] = nil
		for n := range strings.SplitSeq(names, ",") {
			if n = strings.TrimSpace(n); n != "" {
				rights[op] = append(rights[op], n)
			}
		}
	}
	var parm xmldoc.Node
	if parm, err = access.Rights(rights); err != nil {
		return interp.Because(err, "%s", file)
	}
	spec.Access = parm
	return nil
}

// readLines reads lines of the form "name: value". Empty ones and those that begin with
// "#" are left out.
func readLines(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, interp.Because(err, "cannot read it")
	}
	defer f.Close()
	all := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(f, maxPEM))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, interp.Failf("%s: line %d is not of the form name: value", file, n)
		}
		all[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if err := lines.Err(); err != nil {
		return nil, interp.Because(err, "cannot read it")
	}
	return all, nil
}
