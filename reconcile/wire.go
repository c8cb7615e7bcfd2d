package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/form"
	"github.com/sallyport/sallyport/integration"
)

// wire asks a provider about subscriptions.
type wire struct {
	calls   Calls
	form    bool    // bodies are forms
	account account // with whose credential
	errors  *catalog.Errors
	facts   *catalog.Subscription // where there is a credential for subscriptions alone
}

// maxAnswer bounds an answer about subscriptions, in bytes.
const maxAnswer = 4 << 20

// list reads all pages of a list; where it is not known how the provider's lists
// go on, its first.
func (w *wire) list(ctx context.Context, operation, items string, path map[string]string) ([]json.RawMessage, error) {
	_, template, _ := strings.Cut(operation, " ")
	r, err := request(ctx, http.MethodGet, template, path)
	if err != nil {
		return nil, err
	}
	w.account.name(r)
	pages, err := w.calls.Walk(ctx, w.account.tenant, integration.EntryEndpoint, r)
	var f *integration.Failure
	if errors.As(err, &f) && f.Code == call.CodeNoPages {
		return w.first(r, items)
	}
	if err != nil {
		return nil, err
	}
	var all []json.RawMessage
	for page, err := range pages {
		if err != nil {
			return nil, ended(w.calls.ListFailure(err))
		}
		all = append(all, page.Items...)
	}
	return all, nil
}

// ended says what ended a list, without the provider's own words: they may repeat
// what was sent.
func ended(f *integration.Failure) error {
	what := fmt.Sprintf("the provider's list could not be read: %s", f.Class)
	if f.Code != "" {
		what += " (" + f.Code + ")"
	}
	if f.CallID != "" {
		what += "; see call " + f.CallID
	}
	return errors.New(what)
}

func (w *wire) first(r *http.Request, items string) ([]json.RawMessage, error) {
	answer, err := w.send(r)
	if err != nil {
		return nil, err
	}
	list := gjson.ParseBytes(answer)
	if items != "" {
		list = list.Get(items)
	}
	if !list.IsArray() {
		return nil, fmt.Errorf("%s %s: the answer holds no list at %q", r.Method, r.URL.Path, items)
	}
	var all []json.RawMessage
	for _, one := range list.Array() {
		all = append(all, json.RawMessage(one.Raw))
	}
	return all, nil
}

// errOnce is why a body with a secret is not sent, or written down, again.
var errOnce = errors.New("the body holds a signing secret, so it is sent once and never kept")

// do calls an operation with the values put in.
func (w *wire) do(ctx context.Context, c *catalog.SubscriptionCall, v *values) (json.RawMessage, error) {
	method, template := c.Parts()
	r, err := request(ctx, method, template, v.text)
	if err != nil {
		return nil, err
	}
	if len(c.Body) > 0 {
		content, err := v.body(c.Body)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/json")
		if w.form {
			if content, err = form.Encode(content); err != nil {
				return nil, err
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.ContentLength, r.Body = int64(len(content)), io.NopCloser(bytes.NewReader(content))
		r.GetBody = func() (io.ReadCloser, error) {
			if v.secretUsed {
				return nil, errOnce
			}
			return io.NopCloser(bytes.NewReader(content)), nil
		}
	}
	return w.send(r)
}

// gone is a status that says that there is no such thing.
var errNotThere = errors.New("the provider has no such subscription")

func (w *wire) send(r *http.Request) (json.RawMessage, error) {
	w.account.name(r)
	resp, err := w.calls.Transport(w.account.tenant, integration.EntryEndpoint).RoundTrip(r)
	if err != nil {
		if f := (*integration.Failure)(nil); w.facts != nil && errors.As(err, &f) && f.Code == call.CodeCredential && f.Err != nil {
			err = f.Err // it is not the connection that is not set up
		}
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return nil, fmt.Errorf("%s %s: %w (%d)", r.Method, r.URL.Path, errNotThere, resp.StatusCode)
	case resp.StatusCode/100 != 2:
		return nil, fmt.Errorf("%s %s: the provider answered %d; its answer stands with call %s", r.Method, r.URL.Path, resp.StatusCode, resp.Header.Get(call.HeaderCall))
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("%s %s: the answer is larger than %d bytes", r.Method, r.URL.Path, maxAnswer)
	case len(bytes.TrimSpace(answer)) > 0 && !gjson.ValidBytes(answer):
		return nil, nil // some say "ok"
	}
	if refusal := w.refusal(answer); refusal != nil {
		return nil, fmt.Errorf("%s %s: %w; see call %s", r.Method, r.URL.Path, refusal, resp.Header.Get(call.HeaderCall))
	}
	return answer, nil
}

// Bounds on what is shown of a refusal.
const (
	maxFaults = 10
	maxFault  = 300
)

// refusal is what a successful answer says went wrong; nil: nothing did.
func (w *wire) refusal(answer json.RawMessage) error {
	if w.errors == nil || w.errors.InSuccess == nil || len(w.errors.InSuccess.Values) == 0 {
		return nil
	}
	signal := gjson.GetBytes(answer, w.errors.InSuccess.Path)
	if !signal.Exists() || !slices.Contains(w.errors.InSuccess.Values, signal.String()) {
		return nil
	}
	code := gjson.GetBytes(answer, w.errors.CodePath).String()
	if w.facts != nil && slices.ContainsFunc(w.errors.Meanings, func(m catalog.MeaningRule) bool {
		return m.Class == string(integration.ClassUnauthorized) && slices.Contains(m.Codes, code)
	}) {
		return fmt.Errorf("%w: %.100s; %s, and give it as the secret %s", ErrCredential, code, w.facts.Credential.New, w.facts.Credential.Secret)
	}
	text := fmt.Sprintf("the provider refused it: %.100s", code)
	if w.facts == nil || w.facts.Document == nil || w.facts.Document.Faults == nil {
		return errors.New(text)
	}
	// These are about the document, which holds no secret.
	f := w.facts.Document.Faults
	for i, fault := range gjson.GetBytes(answer, f.List).Array() {
		if i == maxFaults {
			text += "; and more"
			break
		}
		text += fmt.Sprintf("; %.*s: %.*s", maxFault, fault.Get(f.Place).String(), maxFault, fault.Get(f.Message).String())
	}
	return errors.New(text)
}

// request is one below the API's base URL.
func request(ctx context.Context, method, template string, variables map[string]string) (*http.Request, error) {
	plain, escaped := template, template
	for name, value := range variables {
		if !strings.Contains(template, "{"+name+"}") {
			continue
		}
		if value == "" || value == "." || value == ".." {
			return nil, fmt.Errorf("%s %s: there is no usable %s", method, template, name)
		}
		plain = strings.ReplaceAll(plain, "{"+name+"}", value)
		escaped = strings.ReplaceAll(escaped, "{"+name+"}", url.PathEscape(value))
	}
	if strings.ContainsAny(escaped, "{}") {
		return nil, fmt.Errorf("%s %s: set the variables of this path in webhooks.path of the plan", method, template)
	}
	r, err := http.NewRequestWithContext(ctx, method, "/", http.NoBody)
	if err != nil {
		return nil, err
	}
	r.URL = &url.URL{Path: plain, RawPath: escaped}
	r.Header.Set("Accept", "application/json")
	return r, nil
}

// values are what placeholders stand for.
type values struct {
	text       map[string]string
	events     []string
	join       string
	secret     integration.Secret
	secretUsed bool
	document   json.RawMessage
}

// body puts values into a body.
func (v *values) body(template map[string]any) ([]byte, error) {
	filled, err := v.fill(template)
	if err != nil {
		return nil, err
	}
	return json.Marshal(filled)
}

func (v *values) fill(template any) (any, error) {
	switch t := template.(type) {
	case map[string]any:
		out := make(map[string]any, len(t))
		for name, inner := range t {
			filled, err := v.fill(inner)
			if err != nil {
				return nil, err
			}
			out[name] = filled
		}
		return out, nil
	case string:
		return v.fillText(t)
	}
	return template, nil
}

var errNoSecret = errors.New("the provider takes a signing secret of ours, and the plan has none: set webhook_secret in the environment's secrets")

func (v *values) fillText(t string) (any, error) {
	switch {
	case t == "{events}" && v.join == "":
		return v.events, nil
	case t == "{document}": // as it is: it may hold braces of its own
		return string(v.document), nil
	}
	if strings.Contains(t, "{secret}") {
		if v.secret.IsZero() {
			return nil, errNoSecret
		}
		v.secretUsed = true
		t = strings.ReplaceAll(t, "{secret}", v.secret.Reveal()) // on its way to the wire
	}
	t = strings.ReplaceAll(t, "{events}", strings.Join(v.events, v.join))
	if len(v.events) > 0 {
		t = strings.ReplaceAll(t, "{event}", v.events[0])
	}
	for name, value := range v.text {
		t = strings.ReplaceAll(t, "{"+name+"}", value)
	}
	return t, nil
}

// writeTime is a time as a provider takes it.
func writeTime(format string, at time.Time) string {
	switch format {
	case "unix_s":
		return strconv.FormatInt(at.Unix(), 10)
	case "unix_ms":
		return strconv.FormatInt(at.UnixMilli(), 10)
	}
	return at.UTC().Format(time.RFC3339)
}
