package cache_test

import (
	"context"
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

	"github.com/sallyport/sallyport/cache"
	"github.com/sallyport/sallyport/integration"
)

// slow is a provider whose answers wait for release.
type slow struct {
	calls   atomic.Int32
	ended   atomic.Int32 // calls whose context ended
	release chan *http.Response
}

func newSlow() *slow { return &slow{release: make(chan *http.Response, 100)} }

func (s *slow) fetch(ctx context.Context, _ http.Header) (*http.Response, error) {
	s.calls.Add(1)
	select {
	case resp := <-s.release:
		return resp, nil
	case <-ctx.Done():
		s.ended.Add(1)
		return nil, ctx.Err()
	}
}

type outcome struct {
	resp *http.Response
	body string
	err  error
}

// ask starts a caller and waits until it waits.
func ask(ctx context.Context, c *cache.Cache, r *http.Request, o cache.Options, fetch cache.Fetch) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		resp, err := c.Do(ctx, r, o, fetch)
		if err != nil {
			out <- outcome{err: err}
			return
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		out <- outcome{resp, string(body), err}
	}()
	synctest.Wait()
	return out
}

// R4.15: identical reads in flight share one call.
func TestIdenticalReadsShareOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newSlow(), cache.New(cache.Config{})
		var outs []<-chan outcome
		for range 5 {
			outs = append(outs, ask(t.Context(), c, get(things), cache.Options{Tenant: "t1"}, s.fetch))
		}
		other := ask(t.Context(), c, get(things), cache.Options{Tenant: "t2"}, s.fetch)
		if n := s.calls.Load(); n != 2 {
			t.Fatalf("%d calls, want one for each tenant", n)
		}
		s.release <- answer(http.StatusOK, "body", "Cache-Control", "no-store")
		s.release <- answer(http.StatusOK, "body")
		seen := map[*http.Response]bool{}
		for _, out := range append(outs, other) {
			got := <-out
			if got.err != nil || got.body != "body" || seen[got.resp] {
				t.Errorf("%+v", got)
			}
			seen[got.resp] = true
		}
		if n := s.calls.Load(); n != 2 || c.Stats().Shared != 4 {
			t.Errorf("%d calls, %+v", n, c.Stats())
		}
		// The call is over: who comes now makes another.
		last := ask(t.Context(), c, get(things), cache.Options{Tenant: "t1"}, s.fetch)
		s.release <- answer(http.StatusOK, "again")
		if got := <-last; got.body != "again" {
			t.Errorf("%+v", got)
		}
	})
}

// A caller who goes away does not end the call for others; the last one does.
func TestLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newSlow(), cache.New(cache.Config{})
		why := errors.New("the user closed the window")
		first, leave1 := context.WithCancelCause(t.Context())
		second, leave2 := context.WithTimeout(t.Context(), time.Second)
		defer leave2()
		a := ask(first, c, get(things), minute, s.fetch)
		b := ask(second, c, get(things), minute, s.fetch)
		leave1(why)
		if got := <-a; !errors.Is(got.err, why) {
			t.Errorf("the first: %+v", got)
		}
		synctest.Wait()
		if s.ended.Load() != 0 {
			t.Fatal("the call ended with its first caller")
		}
		if got := <-b; !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("the last: %+v", got)
		}
		synctest.Wait()
		if s.ended.Load() != 1 {
			t.Fatal("the call goes on for nobody")
		}

		// Nobody is held to the call that was given up.
		third := ask(t.Context(), c, get(things), minute, s.fetch)
		s.release <- answer(http.StatusOK, "body")
		if got := <-third; got.body != "body" || s.calls.Load() != 2 {
			t.Errorf("%+v", got)
		}
	})
}

// A shared failure is shared, each caller's its own copy; it is not remembered.
func TestSharedFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, calls, release := cache.New(cache.Config{}), 0, make(chan struct{})
		fetch := func(context.Context, http.Header) (*http.Response, error) {
			calls++
			<-release
			return nil, &integration.Failure{Class: integration.ClassUnavailable}
		}
		a, b := ask(t.Context(), c, get(things), minute, fetch), ask(t.Context(), c, get(things), minute, fetch)
		close(release)
		var fa, fb *integration.Failure
		if !errors.As((<-a).err, &fa) || !errors.As((<-b).err, &fb) || fa == fb || calls != 1 {
			t.Errorf("%v, %v after %d calls", fa, fb, calls)
		}
		<-ask(t.Context(), c, get(things), minute, fetch)
		if calls != 2 {
			t.Error("the failure was remembered")
		}
	})
}

func TestAPanicIsAnError(t *testing.T) {
	t.Parallel()
	_, err := cache.New(cache.Config{}).Do(t.Context(), get(things), minute, func(context.Context, http.Header) (*http.Response, error) { panic("oh") })
	if err == nil || !strings.Contains(err.Error(), "oh") {
		t.Errorf("got %v", err)
	}
}

// What can't be shared is streamed to the first, and the others ask themselves.
func TestOnlyOneReadsAStream(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 50)
	for name, make := range map[string]func() *http.Response{
		"too large": func() *http.Response { return answer(http.StatusOK, large) },
		"a cookie":  func() *http.Response { return answer(http.StatusOK, large[:50], "Set-Cookie", "a=b") },
		"event stream": func() *http.Response {
			return answer(http.StatusOK, large[:50], "Content-Type", "text/event-stream; charset=utf-8")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newSlow(), cache.New(cache.Config{MaxEntry: 100})
				ctx, leave := context.WithCancel(t.Context())
				gone := ask(ctx, c, get(things), minute, s.fetch)
				a, b := ask(t.Context(), c, get(things), minute, s.fetch), ask(t.Context(), c, get(things), minute, s.fetch)
				leave()
				<-gone
				want := make()
				body, _ := io.ReadAll(want.Body)
				s.release <- make()
				synctest.Wait()
				if n := s.calls.Load(); n != 2 {
					t.Fatalf("%d calls, want another for the second who waited", n)
				}
				s.release <- make()
				for _, out := range []<-chan outcome{a, b} {
					if got := <-out; got.err != nil || got.body != string(body) || got.resp.Header.Get(cache.Header) != cache.Miss {
						t.Errorf("%+v", got)
					}
				}
				// For a while nobody waits in vain for something to share.
				d, e := ask(t.Context(), c, get(things), minute, s.fetch), ask(t.Context(), c, get(things), minute, s.fetch)
				if n := s.calls.Load(); n != 4 {
					t.Errorf("%d calls", n)
				}
				s.release <- make()
				s.release <- make()
				<-d
				<-e
			})
		})
	}
}

// A stream's context lives as long as its body, and a stream for nobody is closed.
func TestStreamLivesWithItsBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config{})
		var flight context.Context
		fetch := func(ctx context.Context, _ http.Header) (*http.Response, error) {
			flight = ctx
			return answer(http.StatusOK, "data: 1\n\n", "Content-Type", "text/event-stream"), nil
		}
		resp, err := c.Do(t.Context(), get(things), minute, fetch)
		if err != nil {
			t.Fatal(err)
		}
		if flight.Err() != nil {
			t.Error("the stream was cut before it was read")
		}
		resp.Body.Close()
		if flight.Err() == nil {
			t.Error("the call outlives its reader")
		}

		closed, release := make(chan struct{}), make(chan struct{})
		ctx, leave := context.WithCancel(t.Context())
		lonely := ask(ctx, cache.New(cache.Config{}), get(things), minute, func(context.Context, http.Header) (*http.Response, error) {
			<-release
			resp := answer(http.StatusOK, "", "Content-Type", "text/event-stream")
			resp.Body = &closing{resp.Body, closed}
			return resp, nil
		})
		leave()
		<-lonely
		close(release)
		<-closed
	})
}

type closing struct {
	io.ReadCloser
	closed chan struct{}
}

func (c *closing) Close() error {
	close(c.closed)
	return nil
}

// Those who joined a call whose answer depends on a header in which they differ
// ask themselves.
func TestVaryAmongThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newSlow(), cache.New(cache.Config{})
		a := ask(t.Context(), c, get(things, "User-Agent", "one"), minute, s.fetch)
		b := ask(t.Context(), c, get(things, "User-Agent", "two"), minute, s.fetch)
		s.release <- answer(http.StatusOK, "for one", "Vary", "User-Agent")
		synctest.Wait()
		s.release <- answer(http.StatusOK, "for two", "Vary", "User-Agent")
		if got := <-a; got.body != "for one" {
			t.Errorf("%+v", got)
		}
		if got := <-b; got.body != "for two" {
			t.Errorf("%+v", got)
		}
	})
}

// A read under way while a write happens may bring the state before it: it is not
// kept, and who asks after the write is not given it.
func TestWriteSpoilsReadsUnderWay(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*cache.Cache){
		"write":  func(c *cache.Cache) { c.Wrote("t1", request(http.MethodPost, things+"/1"), answer(http.StatusOK, "")) },
		"forget": func(c *cache.Cache) { c.Forget("t1") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newSlow(), cache.New(cache.Config{})
				before := ask(t.Context(), c, get(things), minute, s.fetch)
				change(c)
				after := ask(t.Context(), c, get(things), minute, s.fetch)
				if n := s.calls.Load(); n != 2 {
					t.Fatalf("%d calls: who asked after the write shares a call from before it", n)
				}
				s.release <- answer(http.StatusOK, "one")
				s.release <- answer(http.StatusOK, "two")
				bodies := (<-before).body + " " + (<-after).body
				if bodies != "one two" && bodies != "two one" {
					t.Errorf("got %q", bodies)
				}
				if n := c.Stats().Resources; n != 1 {
					t.Errorf("%d kept, want the later one alone", n)
				}
			})
		})
	}
}

// Everything at once, for the race detector: each caller gets the body of its own
// question.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config{MaxBytes: 8000, MaxEntry: 300})
		var all sync.WaitGroup
		for n := range 400 {
			all.Go(func() {
				time.Sleep(time.Duration(n%17) * time.Millisecond)
				tenant, path := fmt.Sprint("t", n%3), fmt.Sprint("/", n%7)
				want := strings.Repeat(tenant+path, 10+n%7*10) // some too large to share
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%9)*time.Millisecond)
				if n%2 == 0 {
					ctx, cancel = context.WithCancel(t.Context())
				}
				defer cancel()
				r := get(things + path)
				if n%31 == 0 {
					c.Wrote(tenant, request(http.MethodPost, things), nil)
				}
				resp, err := c.Do(ctx, r, cache.Options{Tenant: tenant, TTL: 5 * time.Millisecond}, func(ctx context.Context, _ http.Header) (*http.Response, error) {
					select {
					case <-time.After(3 * time.Millisecond):
						return answer(http.StatusOK, want, "Etag", `"1"`), nil
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				})
				if err != nil {
					if n%2 == 0 {
						t.Errorf("%d: %v", n, err)
					}
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(body) != want {
					t.Errorf("%d: %.30q, want %.30q, %v", n, body, want, err)
				}
			})
		}
		all.Wait()
		if s := c.Stats(); s.Bytes > 8000 || s.Hits == 0 || s.Shared == 0 || s.Misses == 0 {
			t.Errorf("%+v", s)
		}
	})
}
