package call_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
)

// shelf is a provider with Stripe's way of lists: has_more, starting_after.
func shelf(size int, fail int) step {
	return func(r *http.Request) (*http.Response, error) {
		first := 0
		if after := r.URL.Query().Get("starting_after"); after != "" {
			if _, err := fmt.Sscanf(after, "cus_%d", &first); err != nil {
				return nil, err
			}
			first++
		}
		if fail > 0 && first >= fail {
			return answer(400, `{"error":{"message":"no"}}`)(r)
		}
		var items []string
		for i := first; i < min(first+3, size); i++ {
			items = append(items, fmt.Sprintf(`{"id":"cus_%d"}`, i))
		}
		return answer(200, fmt.Sprintf(`{"object":"list","data":[%s],"has_more":%v}`, strings.Join(items, ","), first+3 < size))(r)
	}
}

// R4.15: a list is read to its end, each page a call of its own.
func TestWalk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", shelf(8, 0))
		pages, err := b.Walk(t.Context(), "acme", integration.EntryClient, request(t, http.MethodGet, "https://api.stripe.com/v1/customers?limit=3", ""))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for page, err := range pages {
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				var c struct{ ID string }
				if err := json.Unmarshal(item, &c); err != nil {
					t.Fatal(err)
				}
				ids = append(ids, c.ID)
			}
		}
		if len(ids) != 8 || ids[7] != "cus_7" || len(b.provider.asked) != 3 || len(b.journal.calls) != 3 {
			t.Errorf("got %v in %d requests", ids, len(b.provider.asked))
		}
		for _, r := range b.provider.asked {
			if r.URL.Query().Get("limit") != "3" || !strings.Contains(r.Header.Get("Authorization"), canary) {
				t.Errorf("%s lacks the query or the credential", r.URL)
			}
		}
	})
}

// What ends a walk early is told as a failure of the call, and what is no list
// is not walked through.
func TestWalkEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", shelf(8, 3))
		pages, err := b.Walk(t.Context(), "", integration.EntryClient, request(t, http.MethodGet, "https://api.stripe.com/v1/customers", ""))
		if err != nil {
			t.Fatal(err)
		}
		var last error
		seen := 0
		for page, err := range pages {
			if err != nil {
				last = err
				break
			}
			seen += len(page.Items)
		}
		f := b.ListFailure(last)
		if seen != 3 || f.Class != integration.ClassInvalid || f.CallID == "" {
			t.Errorf("%d items, then %+v", seen, f)
		}
		if f := b.ListFailure(io.ErrUnexpectedEOF); f.Code != call.CodeList {
			t.Errorf("%+v", f)
		}
		var refused *integration.Failure
		if _, err := b.List(t.Context(), "create_customer", call.Request{}); !errors.As(err, &refused) || refused.Code != call.CodeNoPages {
			t.Errorf("got %v", err)
		}
		if _, err := b.List(t.Context(), "nothing", call.Request{}); !errors.As(err, &refused) || refused.Code != call.CodeUnknownEndpoint {
			t.Errorf("got %v", err)
		}
	})
}
