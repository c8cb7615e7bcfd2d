package deliver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// result is what one attempt came to; err nil is a success.
type result struct {
	status     int
	err        error
	final      bool          // trying again can't help
	retryAfter time.Duration // what the destination asked for
	stack      []byte        // of a handler that panicked; for the log alone
}

type resultFailed struct{ why string }

func (f resultFailed) result() result { return result{err: errors.New(f.why), final: true} }

// defaultTimeout is how long a destination may take when the plan says nothing.
const defaultTimeout = 10 * time.Second

// errTimeout says which clock ran out.
var errTimeout = errors.New("the destination did not answer in time")

func newTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.Proxy = nil
	t.DialContext = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	t.MaxIdleConnsPerHost = 64
	t.ResponseHeaderTimeout = 0 // the attempt's own time-out holds
	return t
}

// post sends the event to its destination once.
func (d *Deliverer) post(ctx context.Context, r *route, e integration.Event, data []byte, now time.Time) result {
	timeout := r.target.Timeout.Or(defaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	body, err := cloudEvent(e, data)
	if err != nil {
		return resultFailed{why: err.Error()}.result()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.target.URL, bytes.NewReader(body))
	if err != nil {
		return resultFailed{why: "destination " + r.destination + ": its URL can't be used"}.result()
	}
	request.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	request.Header.Set("User-Agent", "Sallyport")
	if err := sign(request.Header, e.ID, now, body, r.secret(r.destination)); err != nil {
		return resultFailed{why: "destination " + r.destination + ": " + err.Error()}.result()
	}
	answer, err := d.client.Do(request)
	if err != nil {
		return result{err: transportError(ctx, err, timeout)}
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	return judge(answer, d.config.Now())
}

// judge says what the destination's answer means.
func judge(answer *http.Response, now time.Time) result {
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return result{status: code}
	case code == http.StatusGone:
		return result{status: code, final: true, err: errors.New("the destination answered 410: it wants no more of these")}
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		return result{status: code, err: fmt.Errorf("the destination answered %d", code), retryAfter: retryAfter(answer.Header.Get("Retry-After"), now)}
	case code >= 300 && code < 400:
		return result{status: code, err: fmt.Errorf("the destination answered %d; redirects are not followed, name the final URL in the plan", code)}
	default:
		return result{status: code, err: fmt.Errorf("the destination answered %d", code)}
	}
}

// retryAfter reads the header's two forms (RFC 9110, section 10.2.3); zero when
// it is neither.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// transportError says what kept the request from being answered, without the
// URL: it may carry a credential.
func transportError(ctx context.Context, err error, timeout time.Duration) error {
	if errors.Is(context.Cause(ctx), errTimeout) {
		return fmt.Errorf("%w (%s)", errTimeout, timeout)
	}
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err
	}
	return fmt.Errorf("the destination could not be reached: %w", err)
}

// envelope is a CloudEvent in the JSON format (CloudEvents 1.0.2, sections 2
// and 3 of the JSON event format).
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time,omitempty"`
	DataContentType string          `json:"datacontenttype"`
	Tenant          string          `json:"tenant,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

// cloudEvent is the body of a delivery. Data that is JSON is embedded as it
// is; other bytes go into data_base64.
func cloudEvent(e integration.Event, data []byte) ([]byte, error) {
	out := envelope{
		SpecVersion: "1.0", ID: e.ID, Source: "sallyport/" + e.Service, Type: e.Service + "." + e.Type,
		Subject: e.Subject, Tenant: e.Tenant, DataContentType: "application/json", Data: data,
	}
	if !e.OccurredAt.IsZero() {
		out.Time = e.OccurredAt.UTC().Format(time.RFC3339Nano)
	}
	if json.Valid(data) {
		return json.Marshal(out)
	}
	out.Data, out.DataContentType = nil, contentType(e.Header)
	return json.Marshal(struct {
		envelope
		Base64 []byte `json:"data_base64"`
	}{out, data})
}

func contentType(h http.Header) string {
	if v := h.Get("Content-Type"); v != "" {
		return v
	}
	return "application/octet-stream"
}

// sign adds the three headers of Standard Webhooks
// (github.com/standard-webhooks/standard-webhooks, spec: "Signature scheme").
// A secret that starts with whsec_ is base64 behind it; any other is used as
// it is.
func sign(h http.Header, id string, now time.Time, body []byte, secret integration.Secret) error {
	if secret.IsZero() {
		return errors.New("it has no signing secret")
	}
	key := []byte(secret.Reveal())
	if encoded, ok := strings.CutPrefix(secret.Reveal(), "whsec_"); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return errors.New("its signing secret starts with whsec_ and is no base64 behind it")
		}
	}
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id))
	mac.Write([]byte{'.'})
	mac.Write([]byte(at))
	mac.Write([]byte{'.'})
	mac.Write(body)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", at)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

// call runs a Go handler; a panic of it is a failure like an error.
func call(ctx context.Context, h Handler, e Event) (r result) {
	defer func() {
		if cause := recover(); cause != nil {
			r = result{err: fmt.Errorf("the handler panicked: %v", cause), stack: debug.Stack()}
		}
	}()
	if err := h(ctx, e); err != nil {
		return result{err: fmt.Errorf("the handler failed: %w", err)}
	}
	return result{}
}
