package call_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
)

// noticed remembers what was offered.
type noticed struct {
	mu   sync.Mutex
	list []string
}

func (n *noticed) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, s)
}

func (n *noticed) Answer(name string, _ int, body []byte) {
	n.add("answer " + name + " " + string(body))
}
func (n *noticed) MappingFailed(name string, _ error) { n.add("mapping " + name) }
func (n *noticed) ErrorCode(name, code string)        { n.add("code " + name + " " + code) }
func (n *noticed) Headers(name string, h http.Header) {
	if h.Get("Sunset") != "" {
		n.add("sunset " + name)
	}
}

type forget struct{}

func (forget) Record(context.Context, *integration.Call) error { return nil }

// R0.4, R0.3: streamed answers of the plan's endpoints are looked at, whole ones
// only, as are error codes, failing mappings and announced ends; what the plan
// does not name is not.
func TestNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &noticed{}
		p := &provider{steps: []step{
			answer(200, `{"id":"cus_1"}`, "Sunset: Sat, 31 Dec 2026 23:59:59 GMT"), answer(200, `{"pad":"`+strings.Repeat("x", 300<<10)+`"}`), answer(200, `{"id":"other"}`),
			answer(402, `{"error":{"code":"card_declined","message":"no"}}`), answer(200, `{"balance":"many"}`),
		}}
		s, err := call.New(call.Config{
			Plan: parse(t, stripePlan), Environment: "development", Transport: p, Journal: forget{}, Dice: func() float64 { return 0 }, Noticer: seen,
			Secret: func() integration.Secret { return integration.NewSecret(canary) },
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []string{customers + "/cus_1", customers + "/cus_1", "https://api.stripe.com/v1/other", customers + "/cus_1"} {
			resp, err := s.Transport("", integration.EntryClient).RoundTrip(request(t, http.MethodGet, at, ""))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if _, err := s.Endpoint(t.Context(), "get_customer", call.Request{Path: map[string]string{"id": "1"}}); err == nil {
			t.Error("no error")
		}
		want := `sunset get_customer|answer get_customer {"id":"cus_1"}|code get_customer card_declined|answer get_customer {"balance":"many"}|mapping get_customer`
		if got := strings.Join(seen.list, "|"); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
}
