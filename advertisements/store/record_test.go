package store_test

import (
	"math"
	"testing"
	"time"

	"github.com/juxta-p2p/juxta/advertisements/store"
)

func TestDeadline(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	for _, c := range []struct {
		name string
		ms   int64
		want time.Time
	}{
		{"two hours", 7_200_000, now.Add(2 * time.Hour)},
		{"nothing", 0, now},
		{"past", -1, now.Add(-time.Millisecond)},
		{"far past", math.MinInt64, time.UnixMilli(math.MinInt64 + now.UnixMilli())},
		{"for ever", math.MaxInt64, store.Forever()},
		{"sum overflows", math.MaxInt64 - 1, store.Forever()},
		{"sum just fits", math.MaxInt64 - now.UnixMilli() - 1, time.UnixMilli(math.MaxInt64 - 1)},
		{"own peer advertisement as Java pushes it", math.MaxInt64 - now.UnixMilli(), store.Forever()},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := store.Deadline(now, c.ms)
			if !got.Equal(c.want) {
				t.Fatalf("Deadline(%d) = %d ms, want %d", c.ms, got.UnixMilli(), c.want.UnixMilli())
			}
			if c.ms >= 0 && c.ms < math.MaxInt64-now.UnixMilli() {
				if back := store.Remaining(now, got); back != c.ms {
					t.Errorf("Remaining = %d, want %d", back, c.ms)
				}
			}
		})
	}
}

func TestDeadlineBefore1970(t *testing.T) {
	now := time.UnixMilli(-1_000)
	if got := store.Deadline(now, math.MinInt64).UnixMilli(); got != math.MinInt64 {
		t.Errorf("Deadline = %d", got)
	}
	if got := store.Deadline(now, 3_000).UnixMilli(); got != 2_000 {
		t.Errorf("Deadline = %d", got)
	}
}

func TestRemaining(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	before := time.UnixMilli(-5_000)
	for _, c := range []struct {
		name     string
		now, end time.Time
		want     int64
	}{
		{"for ever", now, store.Forever(), math.MaxInt64},
		{"zero time", now, time.Time{}, 0},
		{"past", now, now.Add(-time.Hour), 0},
		{"now", now, now, 0},
		{"hour", now, now.Add(time.Hour), 3_600_000},
		{"year 300000000", now, time.Unix(math.MaxInt64/1000+1, 0), math.MaxInt64},
		{"before 1970", before, time.UnixMilli(5_000), 10_000},
		{"overflow", before, time.UnixMilli(math.MaxInt64 - 1), math.MaxInt64},
		{"furthest past", now, time.Unix(math.MinInt64, 0), 0},
	} {
		if got := store.Remaining(c.now, c.end); got != c.want {
			t.Errorf("%s: Remaining = %d, want %d", c.name, got, c.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		ms   int64
		want time.Duration
	}{
		{-1, 0}, {math.MinInt64, 0}, {0, 0}, {7_200_000, 2 * time.Hour},
		{math.MaxInt64, math.MaxInt64},
		{math.MaxInt64 / 1_000_000, math.MaxInt64 / 1_000_000 * 1_000_000},
		{math.MaxInt64/1_000_000 + 1, math.MaxInt64},
	} {
		if got := store.Duration(c.ms); got != c.want {
			t.Errorf("Duration(%d) = %d, want %d", c.ms, got, c.want)
		}
	}
}

func TestRemoteIsTheLesser(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	for _, c := range []struct {
		name     string
		lifetime time.Time
		exp      time.Duration
		want     time.Duration
	}{
		{"constant while the lifetime is long", now.Add(time.Hour), time.Minute, time.Minute},
		{"runs low", now.Add(time.Second), time.Minute, time.Second},
		{"over", now.Add(-time.Second), time.Minute, 0},
		{"for ever", store.Forever(), 2 * time.Hour, 2 * time.Hour},
		{"local only", store.Forever(), 0, 0},
	} {
		if got := (store.Record{Lifetime: c.lifetime, Expiration: c.exp}).Remote(now); got != c.want {
			t.Errorf("%s: Remote = %v, want %v", c.name, got, c.want)
		}
	}
}
