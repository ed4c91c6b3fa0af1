package commands

import (
	"context"
	"fmt"
	"runtime"

	"github.com/juxta-p2p/juxta/shell/interp"
)

func memCommand(*Host) *interp.Command {
	return &interp.Command{
		Name: "mem", Family: familyLanguage, Summary: "tells how much memory the program uses",
		Options: []interp.Option{{Letter: "g", Name: "collect", Help: "collect garbage before"}},
		Details: "JSON: used, free, total (octets: of objects, kept in reserve, taken from the system),\n" +
			"goroutines, collections.",
		Examples: []interp.Example{{Line: "mem", Text: "at this moment"}, {Line: "mem -g", Text: "what is really needed"}},
		Run: func(_ context.Context, c *interp.Call) error {
			if c.Flag("g") {
				runtime.GC()
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fields := []interp.Field{{Name: "used", Value: octets(c, m.HeapAlloc)}, {Name: "free", Value: octets(c, m.HeapIdle-m.HeapReleased)},
				{Name: "total", Value: octets(c, m.Sys-m.HeapReleased)}, {Name: "goroutines", Value: runtime.NumGoroutine()},
				{Name: "collections", Value: int(m.NumGC)}}
			c.Detail(fields...)
			return nil
		},
	}
}

// octets is a size: the number for programs, KiB for people.
func octets(c *interp.Call, n uint64) any {
	const kibi = 1024
	if c.JSON() {
		return int(n)
	}
	return fmt.Sprintf("%d KiB", n/kibi)
}
