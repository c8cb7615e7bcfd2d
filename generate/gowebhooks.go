package generate

import (
	"strings"
)

// webhooks writes the door for the gateway's deliveries.
func (g *golang) webhooks(c *code) {
	names := unique{"Other": true}
	var fields, cases code
	for _, e := range g.events {
		name, data := names.name(pascal(e.kind)), "json.RawMessage"
		if e.table != "" {
			data = g.types[typeKey(e.table, true)]
		}
		fields.line("%s func(context.Context, Event[%s]) error // %s", name, data, strings.Map(printable, e.kind))
		cases.line("case %q:\nreturn deliver(ctx, h.%s, e)", g.plan.Service+"."+e.kind, name)
	}
	c.WriteString(strings.NewReplacer("SERVICE", g.plan.Service, "TITLE", strings.Map(printable, g.title), "FIELDS", fields.String(), "CASES", cases.String()).Replace(goWebhooks))
}

const goWebhooks = `
import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds of a delivery: its size in bytes, and how far its time may be off.
const (
	maxDelivery = 32 << 20
	tolerance   = 5 * time.Minute
)

// Event is one event of TITLE as the gateway delivers it (CloudEvents 1.0). It
// may come more than once; the ID stays the same.
type Event[T any] struct {
	ID      string    ` + "`json:\"id\"`" + `
	Type    string    ` + "`json:\"type\"`" + `
	Subject string    ` + "`json:\"subject\"`" + `
	Tenant  string    ` + "`json:\"tenant\"`" + `
	Time    time.Time ` + "`json:\"time\"`" + `
	Data    T         ` + "`json:\"data\"`" + `
}

// Handlers are called for the events the plan uses. An error has the event
// delivered again later.
type Handlers struct {
	FIELDS
	// Other takes what has no handler above; nil refuses it, so that nothing is
	// lost silently.
	Other func(context.Context, Event[json.RawMessage]) error
}

var errNoHandler = errors.New("no handler for this event")

// NewWebhooks is the door for deliveries. Their signature (Standard Webhooks) is
// checked before anything is read: one of secrets must have made it; two are
// valid while a secret is replaced.
func NewWebhooks(h Handlers, secrets ...string) (http.Handler, error) {
	keys := make([][]byte, 0, len(secrets))
	for _, s := range secrets {
		key := []byte(s)
		if encoded, ok := strings.CutPrefix(s, "whsec_"); ok {
			var err error
			if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
				return nil, errors.New("SERVICE: a secret starts with whsec_ and is no base64 behind it")
			}
		}
		if len(key) > 0 {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("SERVICE: deliveries can't be checked without a secret")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDelivery))
		switch {
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "post deliveries here", http.StatusMethodNotAllowed)
		case err != nil:
			http.Error(w, "the body is too large or broke off", http.StatusRequestEntityTooLarge)
		case !signed(r.Header, body, keys, time.Now()):
			http.Error(w, "the signature is missing, wrong or too old", http.StatusUnauthorized)
		default:
			finish(w, h.dispatch(r.Context(), body))
		}
	}), nil
}

func finish(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errNoHandler):
		http.Error(w, err.Error(), http.StatusNotImplemented)
	case err != nil:
		http.Error(w, "the handler failed", http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// signed checks a delivery (Standard Webhooks, "Signature scheme").
func signed(h http.Header, body []byte, keys [][]byte, now time.Time) bool {
	id, at := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if off := now.Sub(time.Unix(seconds, 0)).Abs(); err != nil || id == "" || off > tolerance {
		return false
	}
	valid := false
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		for _, given := range strings.Fields(h.Get("Webhook-Signature")) {
			valid = hmac.Equal([]byte(given), want) || valid
		}
	}
	return valid
}

// dispatch calls the handler of the event.
func (h *Handlers) dispatch(ctx context.Context, body []byte) error {
	var e Event[json.RawMessage]
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	switch e.Type {
	CASES
	}
	return deliver(ctx, h.Other, e)
}

func deliver[T any](ctx context.Context, handle func(context.Context, Event[T]) error, e Event[json.RawMessage]) error {
	if handle == nil {
		return errNoHandler
	}
	typed := Event[T]{ID: e.ID, Type: e.Type, Subject: e.Subject, Tenant: e.Tenant, Time: e.Time}
	if raw, ok := any(&typed.Data).(*json.RawMessage); ok {
		*raw = e.Data
	} else if err := json.Unmarshal(e.Data, &typed.Data); err != nil {
		return err
	}
	return handle(ctx, typed)
}
`
