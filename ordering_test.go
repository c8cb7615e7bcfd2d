package sallyport_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/api"
)

// R5.8, R5.11: with an order, a destination that is paused holds back nobody
// else; each destination has the events of a subject in the order in which they
// came, the paused one when it is resumed.
func TestOrderAtEachDestination(t *testing.T) {
	t.Parallel()
	got := map[string]chan string{"app": make(chan string, 100), "books": make(chan string, 100), "ledger": make(chan string, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got[strings.TrimPrefix(r.URL.Path, "/")] <- gjson.GetBytes(body, "id").String()
	}))
	defer server.Close()
	p := &paused{t: t, c: configure(t, "mappings: {}", fmt.Sprintf(`destinations:
  app: {url: "%[1]s/app", secret: "env:LIVE"}
  books: {url: "%[1]s/books", secret: "env:LIVE"}
  ledger: {url: "%[1]s/ledger", secret: "env:LIVE"}`, server.URL),
		"webhooks:\n", "webhooks:\n  order_by: json:data.object.id\n  ordered: true\n", "invoice.paid: {from: data.object}", "invoice.paid: {to: [app, books, ledger]}")}
	p.key = adminKey(t, p.c)
	p.start()
	p.turn("books", "pause")
	var ids []string
	send := func(n int) {
		for range n {
			ids = append(ids, p.event(fmt.Sprintf("evt_%d", len(ids))))
		}
	}
	inOrder := func(name string, from int) {
		t.Helper()
		for _, id := range ids[from:] {
			if have := arrived(t, got[name]); have != id {
				t.Fatalf("%s has %s, want %s of %v", name, have, id, ids)
			}
		}
	}
	send(6)
	inOrder("app", 0)
	inOrder("ledger", 0)
	p.until(ids[5], "parked", func(e *api.EventView) bool { return slices.Equal(e.Parked, []string{"stripe/books"}) })
	if d := p.destination("books"); d.Parked != 6 {
		t.Errorf("books has %d parked", d.Parked)
	}

	p.end()
	p.start()
	send(4)
	inOrder("app", 6)
	inOrder("ledger", 6)
	if len(got["books"]) != 0 {
		t.Fatal("books has an event while it is paused")
	}

	p.turn("books", "resume")
	inOrder("books", 0)
	for _, id := range ids {
		p.until(id, "processed", func(e *api.EventView) bool { return e.Status == "processed" })
	}
	p.end()
	for name, more := range got {
		if len(more) != 0 {
			t.Errorf("%s has an event twice", name)
		}
	}
}
