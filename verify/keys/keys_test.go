package keys_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/verify"
	"github.com/sallyport/sallyport/verify/keys"
)

// server answers in place of a provider's key server.
type server struct {
	asked  atomic.Int64
	answer func(n int64, r *http.Request) (status int, body string, err error)
	header http.Header
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body, err := s.answer(s.asked.Add(1), r)
	if err != nil {
		return nil, err
	}
	h := s.header
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func jwks(t testing.TB, ids ...string) string {
	t.Helper()
	var set jose.JSONWebKeySet
	for i, id := range ids {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = byte(i + 1)
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: ed25519.NewKeyFromSeed(seed).Public(), KeyID: id, Use: "sig"})
	}
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func fetcher(t testing.TB, s *server) *keys.Fetcher {
	t.Helper()
	f, err := keys.New(keys.Config{Transport: s, Hosts: []string{"keys.example.com", "*.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func need(id string) verify.Need {
	return verify.Need{URL: "https://keys.example.com/jwks", Format: "jwks", KeyID: id}
}

func mustFind(t testing.TB, f *keys.Fetcher, n verify.Need, want int) {
	t.Helper()
	found, err := f.Keys(t.Context(), n)
	if err != nil || len(found) != want {
		t.Errorf("%s of %s: %d keys, %v; want %d", n.KeyID, n.URL, len(found), err, want)
	}
}

// R5.2: keys are fetched once and kept for an hour; a new key id is asked for at
// most once a minute.
func TestCacheAndRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		published := []string{"a"}
		s := &server{answer: func(int64, *http.Request) (int, string, error) { return 200, jwks(t, published...), nil }}
		f := fetcher(t, s)
		for range 5 {
			mustFind(t, f, need("a"), 1)
		}
		asked(t, s, 1)
		time.Sleep(59 * time.Minute) // the bubble's clock
		mustFind(t, f, need("a"), 1)
		asked(t, s, 1)
		mustFind(t, f, need("b"), 0)
		asked(t, s, 2)
		published = []string{"b"}
		mustFind(t, f, need("b"), 0) // within the minute nobody asks again
		mustFind(t, f, need("invented"), 0)
		asked(t, s, 2)
		time.Sleep(time.Minute)
		mustFind(t, f, need("b"), 1)
		mustFind(t, f, need("a"), 0) // withdrawn
		asked(t, s, 3)
	})
}

func asked(t testing.TB, s *server, want int64) {
	t.Helper()
	if n := s.asked.Load(); n != want {
		t.Errorf("asked %d times, want %d", n, want)
	}
}

// R5.2: while the key server is down the old keys go on for a day, and it is left
// alone for ten seconds after each failure.
func TestStaleWhileDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := false
		s := &server{answer: func(int64, *http.Request) (int, string, error) {
			if down {
				return 503, "", nil
			}
			return 200, jwks(t, "a"), nil
		}}
		f := fetcher(t, s)
		mustFind(t, f, need("a"), 1)
		down = true
		time.Sleep(2 * time.Hour)
		for range 10 {
			mustFind(t, f, need("a"), 1)
		}
		asked(t, s, 2)
		time.Sleep(10 * time.Second)
		mustFind(t, f, need("a"), 1)
		asked(t, s, 3)
		time.Sleep(24 * time.Hour)
		if found, err := f.Keys(t.Context(), need("a")); err == nil {
			t.Errorf("after a day: %d keys", len(found))
		}
		down = false
		time.Sleep(10 * time.Second)
		mustFind(t, f, need("a"), 1)
	})
}

// A failure is remembered for a moment, so that a flood of webhooks is no flood
// of fetches; its error names the host and no address.
func TestFailureIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, answer := range map[string]func(int64, *http.Request) (int, string, error){
			"refused":  func(int64, *http.Request) (int, string, error) { return 0, "", errors.New("connection refused") },
			"redirect": func(int64, *http.Request) (int, string, error) { return 302, "", nil },
			"too long": func(int64, *http.Request) (int, string, error) { return 200, strings.Repeat("x", 1<<20), nil },
			"no keys":  func(int64, *http.Request) (int, string, error) { return 200, `{"keys":[]}`, nil },
			"garbage":  func(int64, *http.Request) (int, string, error) { return 200, "\x00<html>", nil },
		} {
			s := &server{answer: answer}
			f := fetcher(t, s)
			for range 3 {
				_, err := f.Keys(t.Context(), need("a"))
				if err == nil || errors.Is(err, verify.ErrMalformed) || !strings.Contains(err.Error(), "keys.example.com") {
					t.Errorf("%s: %v", name, err)
				}
			}
			asked(t, s, 1)
			time.Sleep(10 * time.Second)
			_, _ = f.Keys(t.Context(), need("a"))
			asked(t, s, 2)
		}
	})
}

// R5.2: all who need the same keys at the same time wait for one fetch, and who
// hangs up does not end it for the others.
func TestSingleFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &server{answer: func(int64, *http.Request) (int, string, error) {
			<-release
			return 200, jwks(t, "a"), nil
		}}
		f := fetcher(t, s)
		gone, hangUp := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := f.Keys(gone, need("a")); !errors.Is(err, context.Canceled) {
				t.Errorf("hung up: %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			all.Go(func() { mustFind(t, f, need("a"), 1) })
		}
		synctest.Wait()
		hangUp()
		synctest.Wait()
		close(release)
		all.Wait()
		asked(t, s, 1)
	})
}

// R0.7: nothing but the hosts that profiles name is ever asked.
func TestHosts(t *testing.T) {
	t.Parallel()
	s := &server{answer: func(int64, *http.Request) (int, string, error) { return 200, jwks(t, "a"), nil }}
	f := fetcher(t, s)
	for _, u := range []string{
		"http://keys.example.com/jwks", "https://keys.example.com.evil.test/", "https://evil.test/keys.example.com", "https://example.org/",
		"https://a@keys.example.com/", "https://keys.example.com:8443/", "https://169.254.169.254/", "https://[::1]/", "file:///etc/passwd",
		"https://keys.example.com/../x", "https://keys.example.com/%2e%2e/x", "https://evil.test\\.example.org/", "", "https://-/\x00",
	} {
		if _, err := f.Keys(t.Context(), verify.Need{URL: u, Format: "jwks"}); !errors.Is(err, verify.ErrMalformed) {
			t.Errorf("%q: %v", u, err)
		}
	}
	asked(t, s, 0)
	mustFind(t, f, verify.Need{URL: "https://a.b.example.org/x", Format: "jwks"}, 1)
	asked(t, s, 1)
}

// A flood of invented addresses on an allowed host ends at sixty a minute, and
// the memory of them is bounded.
func TestFloodOfAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(int64, *http.Request) (int, string, error) { return 404, "", nil }}
		f := fetcher(t, s)
		refused := 0
		for i := range 2000 {
			found, err := f.Keys(t.Context(), verify.Need{URL: fmt.Sprintf("https://keys.example.com/%d", i), Format: "jwk"})
			if len(found) > 0 {
				t.Fatal("keys out of nothing")
			}
			if err != nil {
				refused++
			}
		}
		asked(t, s, 60)
		if refused != 2000-60 {
			t.Errorf("%d refused", refused)
		}
	})
}

// The keys of other documents than key sets: a key inside an answer, and max-age.
func TestFormatsAndFreshness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{
			answer: func(int64, *http.Request) (int, string, error) {
				return 200, `{"data":{"public_key":"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}}`, nil
			},
			header: http.Header{"Cache-Control": {"public, max-age=600"}},
		}
		f := fetcher(t, s)
		n := verify.Need{URL: "https://keys.example.com/k", Format: "json:data.public_key", Encoding: "base64_public_key"}
		mustFind(t, f, n, 1)
		time.Sleep(9 * time.Minute)
		mustFind(t, f, n, 1)
		asked(t, s, 1)
		time.Sleep(time.Minute)
		mustFind(t, f, n, 1)
		asked(t, s, 2)
	})
}

func TestHostsOf(t *testing.T) {
	t.Parallel()
	w := &catalog.Webhooks{
		Verify: catalog.Verification{Keys: &catalog.KeySource{URL: "https://install.example.com/{kid}"}},
		Variants: []catalog.VerifyVariant{
			{Verify: catalog.Verification{Keys: &catalog.KeySource{URLPath: "header:X", Hosts: []string{"*.paypal.com"}}}}, {},
		},
	}
	if got := fmt.Sprint(keys.HostsOf(w), keys.HostsOf(nil)); got != "[install.example.com *.paypal.com] []" {
		t.Error(got)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []keys.Config{{}, {Transport: &server{}}, {Transport: &server{}, Hosts: []string{"*.com"}}, {Hosts: []string{"a.example"}}} {
		if _, err := keys.New(c); err == nil {
			t.Errorf("%+v was taken", c.Hosts)
		}
	}
}

// R0.7: a transport for exact hosts serves patterns, each host by its own, and
// only so many of them.
func TestPerHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opened := map[string]*server{}
		f, err := keys.New(keys.Config{
			Hosts: []string{"*.example.org"},
			Transport: keys.PerHost(func(host string) (http.RoundTripper, error) {
				if host == "closed.example.org" {
					return nil, errors.New("not this one")
				}
				opened[host] = &server{answer: func(_ int64, r *http.Request) (int, string, error) {
					if r.URL.Host != host {
						t.Errorf("%s was asked for %s", host, r.URL.Host)
					}
					return 200, jwks(t, "a"), nil
				}}
				return opened[host], nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			n := verify.Need{URL: fmt.Sprintf("https://h%d.example.org/", i), Format: "jwks"}
			if found, err := f.Keys(t.Context(), n); (err == nil) != (i < 64) || err == nil && len(found) != 1 {
				t.Errorf("host %d: %v", i, err)
			}
		}
		if _, err := f.Keys(t.Context(), verify.Need{URL: "https://closed.example.org/", Format: "jwks"}); err == nil {
			t.Error("a transport that can't be opened answers")
		}
		if len(opened) != 64 {
			t.Errorf("%d transports", len(opened))
		}
	})
}
