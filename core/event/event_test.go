package event_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/juxta-p2p/juxta/core/event"
)

func ExampleHub() {
	var hub event.Hub[string]
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := hub.Subscribe(ctx)
	hub.Publish("leased")
	hub.Publish("renewed")
	for e := range events {
		fmt.Println(e)
		if e == "renewed" {
			break
		}
	}
	// Output:
	// leased
	// renewed
}

func TestEveryReaderSeesAllInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hub event.Hub[int]
		ctx, cancel := context.WithCancel(t.Context())
		hub.Publish(-1) // nobody reads yet
		got := make([][]int, 3)
		for i := range got {
			events := hub.Subscribe(ctx)
			go func() {
				for e := range events {
					got[i] = append(got[i], e)
				}
			}()
		}
		want := make([]int, event.Buffer/2)
		for i := range want {
			want[i] = i
			hub.Publish(i)
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		for i := range got {
			if !slices.Equal(got[i], want) {
				t.Errorf("reader %d saw %v", i, got[i])
			}
		}
		if hub.Lost() != 0 {
			t.Errorf("%d lost", hub.Lost())
		}
	})
}

func TestAReaderThatLagsLosesTheOldest(t *testing.T) {
	var hub event.Hub[int]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := hub.Subscribe(ctx)
	for i := range event.Buffer + 3 {
		hub.Publish(i)
	}
	if hub.Lost() != 3 {
		t.Errorf("%d counted as lost, want 3", hub.Lost())
	}
	next := 3
	for e := range events {
		if e != next {
			t.Fatalf("saw %d, want %d", e, next)
		}
		if next++; next == event.Buffer+3 {
			break
		}
	}
}

func TestReadersEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hub event.Hub[int]
		ctx, cancel := context.WithCancel(t.Context())
		read, unread := hub.Subscribe(ctx), hub.Subscribe(ctx)
		ended := false
		go func() {
			for range read {
			}
			ended = true
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !ended {
			t.Fatal("the reader goes on")
		}
		for i := range event.Buffer + 1 {
			hub.Publish(i)
		}
		if hub.Lost() != 0 {
			t.Error("a subscription that was never read outlives its context")
		}
		for range unread {
			t.Error("an event after the end")
		}
	})
}

func TestWatchersAreCalledInOrderAndUntilTheyStop(t *testing.T) {
	var hub event.Hub[int]
	var got []int
	stop := hub.Watch(func(v int) { got = append(got, v) })
	other := 0
	defer hub.Watch(func(int) { other++ })()
	for v := range 3 {
		hub.Publish(v)
	}
	stop()
	stop()
	hub.Publish(3)
	if !slices.Equal(got, []int{0, 1, 2}) || other != 4 {
		t.Fatalf("watched %v, the other one %d", got, other)
	}
}
