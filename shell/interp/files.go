package interp

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/juxta-p2p/juxta/shell/lang"
)

// files lists the files whose path begins with partial, folders with a slash behind them. Hidden
// ones are listed when they are asked for, and names that need quotes are left out, since the
// menu cannot replace a word with blanks.
func (s *Session) files(partial string) []Suggestion {
	if s.Restricted {
		return nil
	}
	folder, base := filepath.Split(partial)
	f, err := os.Open(orHere(folder))
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	entries, err := f.ReadDir(maxFilesRead)
	if err != nil {
		return nil
	}
	var all []Suggestion
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || strings.HasPrefix(name, ".") && base == "" || printable(name) != name || lang.Quote(name) != name {
			continue
		}
		x := Suggestion{Text: folder + name, Description: "file"}
		if e.IsDir() {
			x.Text, x.Description = x.Text+string(filepath.Separator), "folder"
		}
		all = append(all, x)
	}
	return all
}

func orHere(folder string) string {
	if folder == "" {
		return "."
	}
	return folder
}

// redirected lists the files for the end of a line such as "limits > ta"; ok is false if no
// such file is being typed there.
func (s *Session) redirected(partial string) (all []Suggestion, ok bool) {
	name := strings.TrimLeft(partial, "<>")
	sign := partial[:len(partial)-len(name)]
	if sign == "" {
		return nil, false
	}
	if bare := strings.TrimLeft(name, " \t"); bare != name {
		sign, name = "", bare // the menu replaces a word, to which the sign does not belong then
	}
	if strings.ContainsAny(name, " \t") {
		return nil, true
	}
	all = s.files(name)
	for i := range all {
		all[i].Text = sign + all[i].Text
	}
	return all, true
}
