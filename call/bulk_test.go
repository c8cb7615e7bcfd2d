package call_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
)

const bulkPlan = `
sallyport: 1
service: tags
uses: github
need: Tag many.
environments: {development: {base_url: "http://127.0.0.1:4010"}}
auth: {use: api_key}
endpoints:
  tag: {call: POST /tags, purpose: Tag one., effect: update, send: tag, receive: tag, bulk: {call: tag_many, items: tags, answers: results, match: id, error: error, max: 50, wait: 20ms}}
  tag_many: {call: POST /tags/batch, purpose: Tag many., effect: update}
mappings:
  tag: [{external: id, type: integer, internal: number, as: integer}, {external: name, type: string, internal: label, as: string}]
`

// tagger is a provider that tags many at once and refuses the bad one.
func tagger(t *testing.T, p *provider) step {
	return func(r *http.Request) (*http.Response, error) {
		p.mu.Lock()
		body := p.sent[len(p.sent)-1]
		p.mu.Unlock()
		var in struct {
			Tags []struct {
				ID   int    `json:"id"`
				Name string `json:"name"`
			} `json:"tags"`
		}
		if err := json.Unmarshal(body, &in); err != nil {
			t.Errorf("%v: %s", err, body)
		}
		var results []string
		for i := len(in.Tags) - 1; i >= 0; i-- { // another order than asked
			tag := in.Tags[i]
			if tag.Name == "bad" {
				results = append(results, fmt.Sprintf(`{"id":%d,"error":{"message":"no such name"}}`, tag.ID))
				continue
			}
			results = append(results, fmt.Sprintf(`{"id":%d,"name":%q}`, tag.ID, tag.Name))
		}
		return answer(200, `{"results":[`+strings.Join(results, ",")+`]}`)(r)
	}
}

// R4.15: calls at once become one request; each caller gets its own answer in
// its own fields, also the one that is refused; tenants are kept apart.
func TestBulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, bulkPlan), "development", nil)
		b.provider.steps = []step{tagger(t, b.provider)}
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				name := "ok"
				if i == 7 {
					name = "bad"
				}
				out, err := b.Endpoint(t.Context(), "tag", call.Request{Tenant: []string{"a", "b"}[i%2], Body: fmt.Appendf(nil, `{"number":%d,"label":%q}`, i, name)})
				var f *integration.Failure
				switch {
				case name == "bad":
					if !errors.As(err, &f) || f.Class != integration.ClassRejected && f.Class != integration.ClassInvalid || out.CallID == "" {
						t.Errorf("the bad one: %+v %v", out, err)
					}
				case err != nil || !same(t, out.Body, fmt.Sprintf(`{"number":%d,"label":"ok"}`, i)) || out.CallID == "" || out.Attempts != 1:
					t.Errorf("%d: %+v %v", i, out, err)
				}
			})
		}
		wg.Wait()
		if n := len(b.provider.asked); n != 2 || len(b.journal.calls) != 2 {
			t.Errorf("%d requests, %d records for two tenants", n, len(b.journal.calls))
		}
	})
}

// A bulk request that fails fails for all, and is retried as one.
func TestBulkFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, bulkPlan), "development", answer(503, `{}`))
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				out, err := b.Endpoint(t.Context(), "tag", call.Request{Body: fmt.Appendf(nil, `{"number":%d}`, i)})
				var f *integration.Failure
				if !errors.As(err, &f) || f.Class != integration.ClassUnavailable || out.CallID == "" {
					t.Errorf("%+v %v", out, err)
				}
			})
		}
		wg.Wait()
		if n := len(b.provider.asked); n != 4 {
			t.Errorf("%d requests", n)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A call that has its own key is made alone.
func TestBulkAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, bulkPlan), "development", answer(200, `{"id":1,"name":"x"}`))
		start := time.Now()
		out, err := b.Endpoint(t.Context(), "tag", call.Request{Body: []byte(`{"number":1}`), IdempotencyKey: "mine"})
		if err != nil || !same(t, out.Body, `{"number":1,"label":"x"}`) || b.provider.asked[0].URL.Path != "/tags" || time.Since(start) != 0 {
			t.Errorf("%+v %v", out, err)
		}
	})
}
