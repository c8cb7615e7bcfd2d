package api

import (
	"strings"
	"testing"
)

// RFC 7240, section 2: preferences are told apart by their names alone.
func TestPrefersAsync(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"respond-async": true, "RESPOND-ASYNC": true, "return=minimal, respond-async": true, "respond-async; wait=10": true, " respond-async ,wait=5": true,
		"": false, "x-respond-async": false, "return=respond-async": false, "wait=1; respond-async": false, "respondasync": false, "respond-async-not": false,
	} {
		if got := prefersAsync([]string{"wait=1", value}); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

// Whatever stands in a Prefer header, only the preference itself is taken for it.
func FuzzPrefersAsync(f *testing.F) {
	for _, seed := range []string{"respond-async", "a, respond-async;b=c", ";;,,", "respond-async=\"x\"", "\x00, RESPOND-async"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if prefersAsync([]string{value}) && !strings.Contains(strings.ToLower(value), "respond-async") {
			t.Errorf("%q is taken for the preference", value)
		}
	})
}
