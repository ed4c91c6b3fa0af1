package terminaltest

import "testing"

func TestScreen(t *testing.T) {
	v := NewScreen(3, 5)
	v.Write([]byte("abcdefg\r\n12\x1b[1D3\r\nx\r\ny\x1b[2A\rz\x1b[J"))
	if got, want := v.Text(), "abcde\nfg\nz"; got != want {
		t.Errorf("screen %q, want %q", got, want)
	}
	v = NewScreen(4, 5)
	v.Write([]byte("abc日本\x1b[1A\x1b[1CX"))
	if got, want := v.Text(), "abcX\n本"; got != want {
		t.Errorf("screen %q, want %q", got, want)
	}
}
