package call_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/classify"
	"github.com/sallyport/sallyport/integration"
)

// piecewise is an answer that comes in pieces, each after a wait.
func piecewise(kind string, pieces int, wait time.Duration) step {
	return func(r *http.Request) (*http.Response, error) {
		read, write := io.Pipe()
		go func() {
			for range pieces {
				select {
				case <-r.Context().Done():
					write.CloseWithError(r.Context().Err())
					return
				case <-time.After(wait):
					if _, err := io.WriteString(write, ": alive\n\n"); err != nil {
						return
					}
				}
			}
			write.Close()
		}()
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {kind}}, Body: read}, nil
	}
}

// A stream that says something lives on, however long: the endpoint's timeout
// is for the answer's header.
func TestStreamLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", piecewise("text/event-stream", 200, 50*time.Second))
		start := time.Now()
		status, body, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", ""))
		if err != nil || status != http.StatusOK || strings.Count(body, "alive") != 200 || time.Since(start) != 10_000*time.Second {
			t.Errorf("%d, %d pieces in %s, %v", status, strings.Count(body, "alive"), time.Since(start), err)
		}
	})
}

// One that falls silent ends, and says which clock it was. A caller that is slow
// to read is no silence of the provider's.
func TestStreamSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", piecewise("text/event-stream", 2, 59*time.Second), piecewise("text/event-stream", 9, 2*call.StreamIdle))
		resp, err := b.Transport("", integration.EntryProxy).RoundTrip(request(t, http.MethodGet, "/v1/customers/cus_1", ""))
		if err != nil {
			t.Fatal(err)
		}
		piece := make([]byte, 9)
		if _, err := io.ReadFull(resp.Body, piece); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // virtual: the caller thinks
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) != 9 {
			t.Errorf("after the caller's hour: %q, %v", rest, err)
		}
		resp.Body.Close()

		resp, err = b.Transport("", integration.EntryProxy).RoundTrip(request(t, http.MethodGet, "/v1/customers/cus_1", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		start := time.Now()
		_, err = io.ReadAll(resp.Body)
		var clock *classify.Timeout
		if !errors.As(err, &clock) || clock.After != call.StreamIdle || time.Since(start) != call.StreamIdle {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

// An error can hide in a JSON answer, which is looked into as it always was;
// there the attempt's clock still runs.
func TestTimeoutWhileJudged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", piecewise("application/json", 9, 50*time.Second))
		start := time.Now()
		_, err := b.Endpoint(t.Context(), "get_customer", call.Request{Path: map[string]string{"id": "cus_1"}})
		var f *integration.Failure
		if !errors.As(err, &f) || f.Class != integration.ClassTimeout || time.Since(start) > time.Minute {
			t.Errorf("after %s: %+v", time.Since(start), err)
		}
	})
}

// slowly is a body the caller makes piece by piece.
type slowly struct {
	left int
	wait time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.wait)
	s.left--
	return min(len(p), 4<<10), nil
}

// An upload that takes longer than the endpoint's timeout is not cut while it
// moves; the provider that took it has the timeout to answer. It is not sent again.
func TestLongUpload(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		provider step
		ok       bool
	}{
		"answered late": {func(r *http.Request) (*http.Response, error) {
			time.Sleep(9 * time.Second)
			return answer(200, `{}`)(r)
		}, true},
		"not answered": {silent, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBundle(t, parse(t, stripePlan), "development", c.provider)
				r := request(t, http.MethodPost, "https://api.stripe.com/v1/files", "")
				r.Body, r.ContentLength = io.NopCloser(&slowly{300, 20 * time.Second}), -1
				start := time.Now()
				status, _, _, err := b.ask(t, r)
				var f *integration.Failure
				switch {
				case c.ok && (err != nil || status != 200 || time.Since(start) < time.Hour):
					t.Errorf("%d after %s: %v", status, time.Since(start), err)
				case !c.ok && (!errors.As(err, &f) || f.Class != integration.ClassTimeout || f.Code != call.CodeUnknownOutcome):
					t.Errorf("%+v", err)
				}
				if len(b.provider.asked) != 1 {
					t.Errorf("sent %d times", len(b.provider.asked))
				}
			})
		})
	}
}
