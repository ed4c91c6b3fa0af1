package peergroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/juxta-p2p/juxta/core/id"
	"github.com/juxta-p2p/juxta/peergroup/membership"
)

const (
	// groupsFolder is where the home has, for each group, what makes this peer a member.
	groupsFolder = "groups"

	// maxGroupFile bounds a file there in octets.
	maxGroupFile = 16 << 20
)

// membershipStore keeps what makes this peer a member of a group, in files that others
// cannot read. Without a home nothing is kept.
func (p *Peer) membershipStore(g id.Group) membership.Store {
	if p.cfg.Home == "" {
		return membership.Store{}
	}
	folder := filepath.Join(p.cfg.Home, groupsFolder, filepath.Base(g.Unique()))
	return membership.Store{
		Load: func(name string) ([]byte, error) {
			path := filepath.Join(folder, name)
			info, err := os.Stat(path)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil, nil
			case err != nil:
				return nil, err
			case info.Size() > maxGroupFile:
				return nil, fmt.Errorf("%s has %d octets, %d are the limit", path, info.Size(), maxGroupFile)
			}
			return os.ReadFile(path)
		},
		Save: func(name string, b []byte) error {
			if err := os.MkdirAll(folder, 0o700); err != nil {
				return err
			}
			temp, err := os.CreateTemp(folder, name+"-*.tmp") // for this user alone
			if err != nil {
				return err
			}
			defer func() { _ = os.Remove(temp.Name()) }() // which fails once it has its name
			_, err = temp.Write(b)
			if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
				return err
			}
			return os.Rename(temp.Name(), filepath.Join(folder, name))
		},
	}
}
