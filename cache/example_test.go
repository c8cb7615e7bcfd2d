package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cache"
)

func Example() {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	c := cache.New(cache.Config{Now: func() time.Time { return now }})
	provider := func(_ context.Context, conditional http.Header) (*http.Response, error) {
		if conditional.Get("If-None-Match") == `"v1"` {
			return &http.Response{StatusCode: http.StatusNotModified, Header: http.Header{}, Body: http.NoBody}, nil
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Etag": {`"v1"`}}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
	}
	ctx := context.Background()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/v1/things", nil)
	for _, later := range []time.Duration{0, 30 * time.Second, time.Minute} {
		now = now.Add(later)
		resp, err := c.Do(ctx, r, cache.Options{Tenant: "con_1", TTL: time.Minute}, provider)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Printf("%s %q\n", resp.Header.Get(cache.Header), resp.Header.Get("Age"))
	}
	now = now.Add(2 * time.Hour) // the provider is down
	if resp, ok := c.Stale(r, "con_1"); ok {
		resp.Body.Close()
		fmt.Println(resp.Header.Get(cache.Header), resp.Header.Get("Age"), resp.Header.Get("Warning"))
	}
	// Output:
	// miss ""
	// hit "30"
	// revalidated "0"
	// stale 7200 110 - "Response is Stale"
}

func BenchmarkHit(b *testing.B) {
	c := cache.New(cache.Config{})
	r := get(things+"?limit=10&starting_after=x", "Accept", "application/json", "User-Agent", "bench")
	o := cache.Options{Tenant: "con_1", TTL: time.Hour}
	fetch := func(context.Context, http.Header) (*http.Response, error) {
		return answer(http.StatusOK, strings.Repeat("x", 2600), "Content-Type", "application/json", "Date", "x", "Etag", `"v1"`), nil
	}
	b.ReportAllocs()
	for b.Loop() {
		resp, err := c.Do(b.Context(), r, o, fetch)
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}
