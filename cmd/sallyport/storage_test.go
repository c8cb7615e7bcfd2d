package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/api"
)

// R5.7, R9.4: the size of the database as people read it, and as JSON.
func TestStorage(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	text, said, err := a.sally(t, "storage")
	if err != nil {
		t.Fatal(err)
	}
	text = said + text
	for _, want := range []string{"in all", "free to be used again", "webhook_events", "audit_log", " kB"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	var size api.StorageView
	out, _, err := a.sally(t, "storage", "--output", "json")
	if err != nil || json.Unmarshal([]byte(out), &size) != nil || size.Bytes < 4096 || len(size.Tables) == 0 {
		t.Errorf("%v %s", err, out)
	}
}

func TestBytesWord(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 4096: "4.1 kB", 512_000: "512 kB", 3_210_000_000: "3.2 GB", 5_000_000_000_000: "5.0 TB"} {
		if got := bytesWord(&n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	if got := bytesWord(nil); got != "?" {
		t.Errorf("unknown: %s", got)
	}
}
