package peerview_test

import (
	"testing"
	"time"
)

func TestBig(t *testing.T) { grow(t, 500, time.Hour) }
