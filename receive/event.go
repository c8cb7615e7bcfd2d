package receive

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
)

// unknownType is the type of an event in which none is found. It is kept like
// one that the plan does not use, unless the plan names it.
const unknownType = "unknown"

// events reads the events out of a verified request: one, or those of a batch,
// in the order in which they stand there (R5.13). None are in a batch that is
// empty. Nothing is refused for what it lacks: see identity.key and unknownType.
// The error is extract.ErrTooMany.
func (d *door) events(in *extract.Request, now time.Time) ([]*integration.Event, error) {
	items, ok, err := d.batch.Items(in)
	if err != nil {
		return nil, err
	}
	if !ok {
		return []*integration.Event{d.read(in, now, 0)}, nil
	}
	batch := integration.NewID(now)
	list := make([]*integration.Event, 0, len(items))
	seen := make(map[string][]byte, len(items))
	for i, item := range items {
		e := d.read(item, now, i+1)
		if before, known := seen[e.ExternalID]; known && !bytes.Equal(before, item.Body) {
			e.ExternalID = told(e.ExternalID, item.Body)
		}
		seen[e.ExternalID] = item.Body
		e.MarkBatch(batch, i+1, len(items))
		list = append(list, e)
	}
	return list, nil
}

// event reads one event and divides nothing.
func (d *door) event(in *extract.Request, now time.Time) (*integration.Event, error) {
	return d.read(in, now, 0), nil
}

func (d *door) read(in *extract.Request, now time.Time, position int) *integration.Event {
	e := &integration.Event{
		ID: integration.NewID(now), Service: d.service, Source: d.source, Tenant: d.fixed,
		Payload: in.Body, ReceivedAt: now.UTC(), DueAt: now.UTC(), Status: integration.EventReceived, Ordered: d.ordered,
	}
	e.ExternalID = d.identity.key(in, e.ID, position)
	var ok bool
	if e.Type, ok = name(in, d.kind); !ok {
		e.Type = unknownType
	}
	e.Subject, _ = name(in, []extract.Path{d.subject})
	if e.Tenant == "" {
		e.Tenant, _ = name(in, []extract.Path{d.tenant})
	}
	if text, ok := value(in, d.time); ok {
		e.OccurredAt = parseTime(d.format, text)
	}
	if _, used := d.used[e.Type]; !used {
		e.Status = integration.EventIgnored
	}
	e.Header = d.kept(in.Header, e.Type)
	d.echo.mark(e, in)
	return e
}

func name(in *extract.Request, paths []extract.Path) (string, bool) {
	for _, p := range paths {
		if v, ok := value(in, p); ok && v != "" && len(v) <= maxName && utf8.ValidString(v) && !strings.ContainsRune(v, 0) {
			return v, true
		}
	}
	return "", false
}

func value(in *extract.Request, p extract.Path) (string, bool) {
	if p.IsZero() {
		return "", false
	}
	return p.Value(in)
}

// unkept are the headers of the provider's schemes: with the signature and the
// payload out of one store a webhook could be replayed into another.
func unkept(facts *catalog.Webhooks) map[string]bool {
	drop := map[string]bool{}
	add := func(v catalog.Verification) {
		for _, h := range v.Header {
			if !strings.Contains(h, ":") {
				drop[http.CanonicalHeaderKey(strings.TrimSuffix(h, "*"))] = true
			}
		}
	}
	add(facts.Verify)
	for _, variant := range facts.Variants {
		add(variant.Verify)
	}
	return drop
}

// kept copies the headers that are kept of an event of that type.
func (d *door) kept(h http.Header, eventType string) http.Header {
	out := make(http.Header, len(h))
	for key, values := range h {
		switch {
		case integration.IsSigned(key), integration.IsMark(key): // ours to set
		case !d.drop[key] && !confidential(key):
			out[key] = values
		case d.signed[key] && d.raw[eventType]:
			out[integration.SignedPrefix+key] = values
		}
	}
	return out
}

// confidentialWords occur in the names of headers that carry a credential or a
// signature, whoever invented them: Authorization, Set-Cookie, X-Api-Key,
// X-Hub-Signature, X-Gitlab-Token.
var confidentialWords = [...]string{"auth", "cookie", "key", "signature", "token", "secret", "password", "hmac"}

func confidential(header string) bool {
	if told, known := confidentialHeaders.Load(header); known {
		return told.(bool)
	}
	lower := strings.ToLower(header)
	told := slices.ContainsFunc(confidentialWords[:], func(word string) bool { return strings.Contains(lower, word) })
	if len(header) <= 64 && confidentialCount.Add(1) <= maxConfidential {
		confidentialHeaders.Store(strings.Clone(header), told)
	}
	return told
}

// confidentialHeaders remembers the answers for the names that come again and
// again, the first maxConfidential of them.
var (
	confidentialHeaders sync.Map
	confidentialCount   atomic.Int64
)

const maxConfidential = 512

// parseTime reads the provider's time of an event; zero when it can't be read,
// which is no reason to lose the event.
func parseTime(format, text string) time.Time {
	switch format {
	case "unix_s", "unix_ms":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= 0 {
			return time.Time{}
		}
		if format == "unix_ms" {
			return time.UnixMilli(n).UTC()
		}
		if n > 253402300799 { // 9999-12-31
			return time.Time{}
		}
		return time.Unix(n, 0).UTC()
	case "rfc3339":
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return time.Time{}
		}
		return t.UTC()
	}
	return time.Time{}
}
