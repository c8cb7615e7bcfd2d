package call_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
)

// R4.17: the table, row by row, through the door: how often it is retried, and
// that what is used up is in the store before the caller has its answer, with
// all it takes to make it again.
func TestRetryTable(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		answer  step
		name    string
		retries int
		kept    bool
	}{
		{answer(429, `{}`), "429", 5, true},
		{answer(429, `{}`, "Retry-After: 2"), "429 with Retry-After", 5, true},
		{answer(500, `{}`), "500", 3, true},
		{answer(502, `{}`), "502", 3, true},
		{answer(503, `{}`), "503", 3, true},
		{answer(504, `{}`), "504", 3, true},
		{silent, "timeout", 3, true},
		{broken(io.ErrUnexpectedEOF), "network", 3, true},
		{answer(401, `{}`), "401, the same credential", 0, false},
		{answer(400, `{}`), "400", 0, false},
		{answer(403, `{}`), "403", 0, false},
		{answer(404, `{}`), "404", 0, false},
		{answer(409, `{}`), "409", 0, false},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(row.name+" "+method, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newBundle(t, parse(t, stripePlan), "development", row.answer)
					url, body := customers, "email=a"
					if method == http.MethodGet {
						url, body = customers+"/cus_1", ""
					}
					_, _, header, err := b.ask(t, request(t, method, url, body))
					id := header.Get(call.HeaderCall)
					var f *integration.Failure
					if errors.As(err, &f) {
						id = f.CallID
					}
					c := b.journal.only(t) // it is there already
					if c.ID != id || len(b.provider.asked) != 1+row.retries || len(c.Attempts) != 1+row.retries {
						t.Errorf("asked %d times, %d attempts written down as %s, answered as %q; want %d retries", len(b.provider.asked), len(c.Attempts), c.ID, id, row.retries)
					}
					if c.State.Kept() != row.kept || row.kept && (c.State != integration.CallFailed || string(c.Body) != body) {
						t.Errorf("left %s with body %q, want kept: %v", c.State, c.Body, row.kept)
					}
					for i, r := range b.provider.asked {
						if key := r.Header.Get("Idempotency-Key"); method == http.MethodPost && key != c.ID {
							t.Errorf("attempt %d has the key %q, want %q on all", i+1, key, c.ID)
						}
					}
				})
			})
		}
	}
}

// A call that could not be kept must not be told as kept: the caller is the
// only one left who can make it again.
func TestNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, step := range map[string]step{"answered": answer(503, `{}`), "not answered": broken(io.ErrUnexpectedEOF)} {
			p := parse(t, stripePlan)
			p.Endpoints["create_note"].Record = "after"
			b := newBundle(t, p, "development", step)
			b.journal.err = errors.New("the disk is full")
			status, _, header, err := b.ask(t, request(t, http.MethodPost, "https://api.stripe.com/v1/notes", "amount=1"))
			if status == 503 {
				if header.Get(call.HeaderReason) != call.ReasonNotKept {
					t.Errorf("%s: header %v", name, header)
				}
				continue
			}
			var f *integration.Failure
			if !errors.As(err, &f) || f.Code != call.CodeUnknownOutcome || f.Reason != call.ReasonNotKept || f.CallID == "" {
				t.Errorf("%s: %+v", name, f)
			}
			if got := f.Hint; got != "The request may have had its effect and was not repeated: a create without an idempotency key is not repeated once it may have been received. It could not be written down either, so it can't be made again from here: look at the provider first." {
				t.Errorf("%s: hint %q", name, got)
			}
		}
	})
}
