package peergrouptest

import (
	"runtime"
	"syscall"
	"time"
)

// Machine is what depends on the machine and on what else it does; two runs with
// one seed differ in it.
type Machine struct {
	Wall       Seconds `json:"wall_s"`           // real time
	Speed      float64 `json:"speed"`            // virtual time by real time
	PerSecond  float64 `json:"messages_per_s"`   // of real time
	Heap       float64 `json:"edge_heap_octets"` // of an edge with a lease, at rest
	Stack      float64 `json:"edge_stack_octets"`
	Goroutines float64 `json:"edge_goroutines"`
	Peak       uint64  `json:"peak_octets"` // memory of this process at most
	Processors int     `json:"processors"`
}

// machine measures.
type machine struct {
	begin       time.Duration
	mem         runtime.MemStats
	goroutines  int
	heap, stack float64
	perEdge     float64
	peakOctets  uint64
}

// clock returns the time of the wall also inside a bubble, where that of package
// time is virtual.
func clock() time.Duration {
	var t syscall.Timeval
	if err := syscall.Gettimeofday(&t); err != nil {
		return 0
	}
	return time.Duration(t.Sec)*time.Second + time.Duration(t.Usec)*time.Microsecond
}

func (m *machine) start()              { m.begin = clock() }
func (m *machine) wall() time.Duration { return clock() - m.begin }

// before measures what is there without edges.
func (m *machine) before() {
	runtime.GC()
	runtime.ReadMemStats(&m.mem)
	m.goroutines = runtime.NumGoroutine()
}

// fewEdges is how many times as many edges as rendezvous there must be to tell what
// an edge costs: the views, which grow meanwhile, are counted with the edges.
const fewEdges = 5

// after measures what the edges have added.
func (m *machine) after(edges, rendezvous int) {
	m.peak()
	if edges < fewEdges*rendezvous || edges == 0 {
		return
	}
	var now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&now)
	each := func(after, before uint64) float64 { return (float64(after) - float64(before)) / float64(edges) }
	m.heap, m.stack = each(now.HeapAlloc, m.mem.HeapAlloc), each(now.StackInuse, m.mem.StackInuse)
	m.perEdge = float64(runtime.NumGoroutine()-m.goroutines) / float64(edges)
}

// peak looks at how much memory there is in all.
func (m *machine) peak() {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	m.peakOctets = max(m.peakOctets, now.Sys-now.HeapReleased)
}

// report sums up.
func (m *machine) report(virtual time.Duration, messages uint64) Machine {
	m.peak()
	wall := m.wall()
	return Machine{
		Wall: seconds(wall), Speed: virtual.Seconds() / wall.Seconds(), PerSecond: float64(messages) / wall.Seconds(),
		Heap: m.heap, Stack: m.stack, Goroutines: m.perEdge, Peak: m.peakOctets, Processors: runtime.GOMAXPROCS(0),
	}
}
