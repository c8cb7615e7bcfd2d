package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/paginate"
)

// state is what is kept between turns.
type state struct {
	// Mark is the provider's time up to which nothing is missing.
	Mark time.Time `json:"mark"`
	// The run that is under way; Page is empty when there is none.
	Page  string    `json:"page,omitempty"`  // the page it goes on with
	Since time.Time `json:"since,omitempty"` // how far it reaches back
	Top   time.Time `json:"top,omitempty"`   // the mark when it is through

	LastRun   time.Time `json:"last_run,omitempty"`   // when a run was last through, by our clock
	Found     int64     `json:"found"`                // events that never came, ever
	LastFound time.Time `json:"last_found,omitempty"` // when the last of them was found
	Lag       float64   `json:"lag_s,omitempty"`      // seconds between such an event and its being found: the largest of the last run that found some
	Unusable  int64     `json:"unusable,omitempty"`   // items that could not be read, ever
	Looked    int64     `json:"looked"`               // items looked at, ever
	Failures  int       `json:"failures,omitempty"`   // runs that failed one after the other
	Error     string    `json:"error,omitempty"`      // why the last one did
}

// run is one turn with one service.
type run struct {
	*Finder
	*listed
	s    *state
	path map[string]string // variables of the list's path
}

// item is an entry of the list that we are concerned with.
type item struct {
	raw json.RawMessage
	id  string
	at  time.Time
}

// maxPayload bounds the answer with one event's payload, in bytes.
const maxPayload = 32 << 20

// read goes through pages of the list, the newest first; finished says that the
// run reached its end. State is as far as it came also when there is an error.
func (f *Finder) read(ctx context.Context, l *listed, s *state) (finished bool, err error) {
	in, err := f.request(ctx, l)
	if err != nil {
		return false, err
	}
	r := &run{Finder: f, listed: l, s: s, path: in.Path}
	pages, err := l.calls.List(ctx, l.reconcile.List, in, paginate.From(s.Page), paginate.MaxPages(f.config.Pages))
	if err != nil {
		return false, err
	}
	read := 0
	for page, err := range pages {
		if err != nil {
			if errors.Is(err, paginate.ErrMaxPages) && read > 0 {
				return false, nil
			}
			return false, ended(l.calls.ListFailure(err))
		}
		read++
		clock := providersClock(page.Header, f.config.Now())
		if s.Page == "" {
			s.begin(f.settled(clock), l.reconcile.Overlap.Or(0))
			r.warnTooOld(ctx, clock)
		}
		reached, err := r.page(ctx, page.Items, f.settled(clock))
		if err != nil {
			return false, err
		}
		if reached || page.Next == "" {
			s.end()
			return true, nil
		}
		s.Page = page.Next
	}
	return false, nil
}

// request is the first question.
func (f *Finder) request(ctx context.Context, l *listed) (call.Request, error) {
	in := call.Request{Query: url.Values{}, Tenant: l.tenant, Connection: l.connection}
	given := l.path(l.plan.Webhooks.Path)
	for name, value := range l.facts.Query {
		in.Query.Set(name, value)
	}
	for _, name := range l.endpoint.PathVariables() {
		if in.Path == nil {
			in.Path = map[string]string{}
		}
		in.Path[name] = given[name]
		if in.Path[name] != "" {
			continue
		}
		id, err := f.subscription(ctx, l)
		if err != nil {
			return in, err
		}
		in.Path[name] = id
	}
	return in, nil
}

// subscription is the id of ours.
func (f *Finder) subscription(ctx context.Context, l *listed) (string, error) {
	list, err := f.config.Store.SubscriptionsOf(ctx, l.name, l.connection)
	if err != nil {
		return "", err
	}
	for i := len(list) - 1; i >= 0; i-- {
		if f.config.PublicURL == "" || list[i].URL == address(f.config.PublicURL, l.name, l.plan.Webhooks.Tenant, l.tenant) {
			return list[i].ExternalID, nil
		}
	}
	return "", fmt.Errorf("reconcile: it is not known which subscription is ours: run sallyport webhooks sync %s, or set webhooks.path.%s in the plan", l.name, l.facts.Subscription)
}

// begin starts a run. The first one of all does not reach back further than the
// overlap.
func (s *state) begin(clock time.Time, overlap time.Duration) {
	if s.Mark.IsZero() {
		s.Mark = clock
	}
	s.Since, s.Top = s.Mark.Add(-overlap).UTC(), s.Mark
}

// end finishes a run.
func (s *state) end() {
	s.Mark, s.Page, s.Since, s.Top = s.Top.UTC(), "", time.Time{}, time.Time{}
}

// warnTooOld says that the provider no longer lists all that may be missing.
func (r *run) warnTooOld(ctx context.Context, clock time.Time) {
	if keeps := time.Duration(r.facts.KeepDays) * 24 * time.Hour; keeps > 0 && clock.Sub(r.s.Mark) > keeps {
		r.config.Log.ErrorContext(ctx, "reconcile.too_old", "service", r.name, "since", r.s.Mark, "provider_keeps_days", r.facts.KeepDays, "alert", true,
			"meaning", "events of the time before can no longer be listed")
	}
}

// settled is the time up to which events count as late.
func (f *Finder) settled(clock time.Time) time.Time {
	if f.config.Settle > 0 {
		return clock.Add(-f.config.Settle)
	}
	return clock
}

// errUnreadable is a list that is not as the profile describes it.
var errUnreadable = errors.New("no item of the page has an id and a time where the profile's webhooks.list says they stand")

// page takes in what never came. reached says that the list has come to what
// the run before has seen: all of the page is older. Lists are newest first, but
// not to the second.
func (r *run) page(ctx context.Context, items []json.RawMessage, settled time.Time) (reached bool, err error) {
	s := r.s
	older, unusable, wanted := 0, 0, []item(nil)
	for _, raw := range items {
		one, ok := r.item(raw)
		switch {
		case !ok:
			unusable++
			continue
		case one.at.Before(s.Since):
			older++
			continue
		case one.at.After(settled):
			continue
		case one.at.After(s.Top):
			s.Top = one.at
		}
		if _, used := r.plan.Webhooks.Events[gjson.GetBytes(raw, r.facts.Type).String()]; used {
			wanted = append(wanted, one)
		}
	}
	s.Looked += int64(len(items))
	if unusable > 0 {
		s.Unusable += int64(unusable)
		r.config.Log.WarnContext(ctx, "reconcile.unusable", "service", r.name, "items", unusable, "error", errUnreadable)
	}
	if unusable > 0 && unusable == len(items) {
		return false, errUnreadable
	}
	return older > 0 && older+unusable == len(items), r.missing(ctx, wanted)
}

// missing takes in the items that are not in the store, the oldest first.
func (r *run) missing(ctx context.Context, wanted []item) error {
	if len(wanted) == 0 {
		return nil
	}
	ids := make([]string, len(wanted))
	for i := range wanted {
		ids[i] = wanted[i].id
	}
	known, err := r.config.Store.KnownEvents(ctx, r.name, "", ids)
	if err != nil {
		return err
	}
	lag := 0.0
	for i := len(wanted) - 1; i >= 0; i-- {
		one := wanted[i]
		if known[one.id] {
			continue
		}
		known[one.id] = true
		fresh, err := r.takeIn(ctx, one)
		if err != nil {
			return err
		}
		if fresh {
			r.s.Found++
			r.s.LastFound = r.config.Now().UTC()
			lag = max(lag, r.s.LastFound.Sub(one.at).Seconds())
		}
	}
	if lag > 0 {
		r.s.Lag = lag
	}
	return nil
}

// takeIn hands one event to the door. An event that can't be read is counted and
// left: it must not hold up all others.
func (r *run) takeIn(ctx context.Context, one item) (fresh bool, err error) {
	body, err := r.payload(ctx, one, r.path)
	if err != nil {
		return false, err
	}
	if body == nil {
		r.unusable(ctx, one, errGone)
		return false, nil
	}
	header := http.Header{}
	for name, path := range r.facts.Headers {
		if v := gjson.GetBytes(one.raw, path); v.Exists() && v.Type != gjson.Null {
			header.Set(name, v.String())
		}
	}
	e, fresh, err := r.config.Door.Found(ctx, r.name, r.tenant, header, body)
	switch {
	case err != nil && (e != nil || ctx.Err() != nil):
		return false, fmt.Errorf("event %s: %w", one.id, err) // it was read, and could not be kept
	case err != nil:
		r.unusable(ctx, one, err)
	case e.ExternalID != one.id:
		r.config.Log.WarnContext(ctx, "reconcile.other_id", "service", r.name, "external_id", e.ExternalID, "listed_as", one.id,
			"rule", "webhooks.list.id of the profile names another id than webhooks.id")
	}
	return fresh, nil
}

var errGone = errors.New("the provider lists the event and no longer has its payload")

func (r *run) unusable(ctx context.Context, one item, why error) {
	r.s.Unusable++
	r.config.Log.WarnContext(ctx, "reconcile.unusable", "service", r.name, "external_id", one.id, "error", why)
}

// item reads what an entry is about.
func (l *listed) item(raw json.RawMessage) (item, bool) {
	one := item{raw: raw, id: gjson.GetBytes(raw, l.facts.ID).String()}
	at := gjson.GetBytes(raw, l.facts.Time)
	one.at = readTime(l.facts.TimeFormat, at.String())
	return one, one.id != "" && !one.at.IsZero()
}

// payload is what the webhook would have brought; nil when the provider no
// longer has it.
func (l *listed) payload(ctx context.Context, one item, values map[string]string) ([]byte, error) {
	fetch := l.facts.Fetch
	if fetch == nil {
		return one.raw, nil
	}
	below, raw, err := fillItem(fetch.Path, one.raw)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", one.id, err)
	}
	path, escaped := l.endpoint.Path(), l.endpoint.Path()
	for name, value := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
		escaped = strings.ReplaceAll(escaped, "{"+name+"}", url.PathEscape(value))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	if err != nil {
		return nil, err
	}
	r.URL = &url.URL{Path: path + below, RawPath: escaped + raw}
	r.Header.Set("Accept", "application/json")
	l.account.name(r)
	resp, err := l.calls.Transport(l.tenant, integration.EntryEndpoint).RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", one.id, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return nil, nil
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("event %s: the provider answered %d", one.id, resp.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxPayload+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("event %s: %w", one.id, err)
	case len(answer) > maxPayload || !gjson.ValidBytes(answer):
		return nil, nil
	}
	if v := gjson.GetBytes(answer, fetch.Payload); v.Exists() {
		return []byte(v.Raw), nil
	}
	return nil, nil
}

// fillItem puts places of an item into a path: /{id}.
func fillItem(path string, raw json.RawMessage) (plain, escaped string, err error) {
	for rest := path; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		plain, escaped = plain+before, escaped+before
		if !found {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		value := gjson.GetBytes(raw, name)
		text := value.String()
		if value.Type == gjson.Number {
			text = value.Raw // an id of 64 bits is no float
		}
		if text == "" || text == "." || text == ".." {
			return "", "", fmt.Errorf("the item has no usable %s for the path %s", name, path)
		}
		plain, escaped, rest = plain+text, escaped+url.PathEscape(text), tail
	}
	return plain, escaped, nil
}

// providersClock is the provider's own time of an answer, or ours where it does
// not tell.
func providersClock(h http.Header, now time.Time) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at.UTC()
	}
	return now.UTC()
}

// latest is 9999-12-31, the last second that RFC 3339 can write.
const latest = 253402300799

// readTime reads a provider's time; zero when it is none.
func readTime(format, text string) time.Time {
	if format == "rfc3339" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return time.Time{}
		}
		return at.UTC()
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	at := time.Unix(n, 0)
	if format == "unix_ms" {
		at = time.UnixMilli(n)
	}
	if at.Unix() > latest {
		return time.Time{}
	}
	return at.UTC()
}
