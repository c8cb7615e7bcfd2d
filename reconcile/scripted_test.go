package reconcile_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// scripted is a list of events as Stripe has it, in the order in which they were
// added, and a clock.
type scripted struct {
	mu     sync.Mutex
	at     time.Time
	events []string
	broken http.HandlerFunc // answers instead
}

func (l *scripted) clock(at time.Time) { l.mu.Lock(); defer l.mu.Unlock(); l.at = at }

func (l *scripted) fail(with http.HandlerFunc) { l.mu.Lock(); defer l.mu.Unlock(); l.broken = with }

func (l *scripted) add(id string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, fmt.Sprintf(`{"id":%q,"object":"event","type":"invoice.paid","created":%d,"data":{"object":{"id":"in_1"}}}`, id, at.Unix()))
}

func (l *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		l.broken(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if !l.at.IsZero() {
		w.Header().Set("Date", l.at.UTC().Format(http.TimeFormat))
	}
	list := slices.Clone(l.events)
	slices.Reverse(list)
	fmt.Fprint(w, `{"object":"list","has_more":false,"data":[`)
	for i, e := range list {
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprint(w, e)
	}
	fmt.Fprint(w, `]}`)
}
