package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements"
	"github.com/juxta-p2p/juxta/advertisements/store"
	"github.com/juxta-p2p/juxta/core/id"
)

// pipeRecord is what a pipe advertisement of the usual size looks like to the store.
func pipeRecord(i int, end time.Time) store.Record {
	pid := fmt.Sprintf("urn:jxta:uuid-59616261646162614E50472050325033%032X04", i)
	return store.Record{
		Kind:     advertisements.Advs,
		Key:      pid[len("urn:jxta:"):],
		Document: fmt.Appendf(nil, `<?xml version="1.0"?><!DOCTYPE jxta:PipeAdvertisement><jxta:PipeAdvertisement xmlns:jxta="http://jxta.org"><Id>%s</Id><Type>JxtaUnicast</Type><Name>pipe-%d</Name></jxta:PipeAdvertisement>`, pid, i),
		Fields: []advertisements.Field{
			{Name: "Name", Value: fmt.Sprint("pipe-", i)},
			{Name: "Id", Value: pid},
		},
		Lifetime:   end,
		Expiration: 2 * time.Hour,
	}
}

func pipeRecords(n int) []store.Record {
	end := time.Now().Add(365 * 24 * time.Hour)
	records := make([]store.Record, n)
	for i := range records {
		records[i] = pipeRecord(i, end)
	}
	return records
}

var benchSizes = []int{1_000, 100_000}

// BenchmarkPut saves new records, in memory and, with the writing that follows,
// on disk.
func BenchmarkPut(b *testing.B) {
	const n = 20_000
	records := pipeRecords(n)
	put := func(b *testing.B, sc *store.Scope) {
		for i := range records {
			if _, err := sc.Put(records[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	perRecord := func(b *testing.B) {
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	}
	b.Run("memory", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			put(b, store.Memory(store.Config{}).Scope(id.NetGroup))
		}
		perRecord(b)
	})
	b.Run("disk", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i++
			s, err := store.Open(filepath.Join(b.TempDir(), fmt.Sprint(i)), store.Config{})
			if err != nil {
				b.Fatal(err)
			}
			put(b, s.Scope(id.NetGroup))
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
		perRecord(b)
	})
}

// BenchmarkRefresh saves the same records again with a longer life.
func BenchmarkRefresh(b *testing.B) {
	records := pipeRecords(1_000)
	sc := store.Memory(store.Config{}).Scope(id.NetGroup)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r := &records[i%len(records)]
		r.Lifetime = r.Lifetime.Add(time.Second)
		if _, err := sc.Put(*r); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkFind looks for one name, for all names with a beginning that only the
// last has, and for the first fifty of all.
func BenchmarkFind(b *testing.B) {
	for _, n := range benchSizes {
		sc := store.Memory(store.Config{}).Scope(id.NetGroup)
		for _, r := range pipeRecords(n) {
			if _, err := sc.Put(r); err != nil {
				b.Fatal(err)
			}
		}
		for _, q := range []struct {
			name, value string
			limit, want int
		}{
			{"exact", fmt.Sprint("pipe-", n/2), 0, 1},
			{"prefix", fmt.Sprintf("pipe-%d*", n-1), 0, 1},
			{"inner", fmt.Sprintf("*e-%d*", n-1), 0, 1},
			{"any", "*", 50, 50},
		} {
			b.Run(fmt.Sprintf("%s/%d", q.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					found := sc.Find(store.Query{Kind: advertisements.Advs, Attr: "Name", Value: q.value, Limit: q.limit})
					if len(found) != q.want {
						b.Fatal(len(found))
					}
				}
			})
		}
	}
}

// BenchmarkOpen reads a store of 100,000 records.
func BenchmarkOpen(b *testing.B) {
	const n = 100_000
	path := filepath.Join(b.TempDir(), "store")
	for b.Loop() {
		s, err := store.Open(path, store.Config{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if sc := s.Scope(id.NetGroup); sc.Count() == 0 {
			for _, r := range pipeRecords(n) {
				if _, err := sc.Put(r); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkIndex adds to a full index, and finds in it by name and by beginning.
func BenchmarkIndex(b *testing.B) {
	const holders, each = 100, 1_000
	end := time.Now().Add(time.Hour)
	x := store.NewIndex(store.IndexConfig{})
	peers := make([]id.Peer, holders)
	for i := range peers {
		peers[i] = peer(fmt.Sprint(i))
	}
	add := func(b *testing.B, i int) {
		if err := x.Add("Adv", "Name", fmt.Sprint("pipe-", i%(holders*each)), peers[i%holders], end); err != nil {
			b.Fatal(err)
		}
	}
	for i := range holders * each {
		add(b, i)
	}
	b.Run("add", func(b *testing.B) {
		i := 0
		for b.Loop() {
			add(b, i)
			i++
		}
	})
	b.Run("exact", func(b *testing.B) {
		for b.Loop() {
			if len(x.Find("Adv", "Name", "pipe-77777", 10)) != 1 {
				b.Fatal("not found")
			}
		}
	})
	b.Run("prefix", func(b *testing.B) {
		for b.Loop() {
			if len(x.Find("Adv", "Name", "pipe-77777*", 10)) != 1 {
				b.Fatal("not found")
			}
		}
	})
}
