package commands

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// Version returns the version that the program was built from: that of the
// module, with the revision if the build knows it.
func Version() (version, revision string) {
	version = "devel"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return version, revision
}

func versionCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "version", Family: familyLanguage, Summary: "tells the version of this program",
		Options:  []interp.Option{{Letter: "v", Name: "verbose", Help: "also Go version, system and revision"}},
		Details:  "JSON: version, go, system, revision.",
		Examples: []interp.Example{{Line: "version", Text: "juxta v1.0.0"}, {Line: "version -v", Text: "what to tell in a bug report"}},
		Run: func(_ context.Context, c *interp.Call) error {
			v, rev := Version()
			fields := []interp.Field{{Name: "version", Value: v}, {Name: "go", Value: runtime.Version()},
				{Name: "system", Value: runtime.GOOS + "/" + runtime.GOARCH}, {Name: "revision", Value: rev}}
			if c.Flag("v") {
				c.Detail(fields...)
				return nil
			}
			c.Line("juxta "+v, fields...)
			return nil
		},
	}
}
