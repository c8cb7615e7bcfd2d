package generate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// client writes the part that speaks HTTP with the gateway.
func (g *golang) client(c *code) {
	c.WriteString(strings.NewReplacer("SERVICE", g.plan.Service, "TITLE", strings.Map(printable, g.title)).Replace(goClient))
}

const goClient = `
import (
	"bytes"
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
)

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 32 << 20

// Config says where the gateway is.
type Config struct {
	URL    string       // of the gateway: https://sallyport.internal
	Key    string       // API key with the scope app
	Tenant string       // your customer, on whose behalf; may be empty
	Client *http.Client // nil: one that waits up to two minutes and a half, as a call may take two
}

// Client calls TITLE through the gateway, which holds the credential, keeps the
// limits, retries and maps. It may be used by many goroutines at once.
type Client struct {
	config Config
	base   string
}

// New makes a Client.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || c.Key == "" {
		return nil, errors.New("SERVICE: the gateway's absolute URL and a key are needed")
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 150 * time.Second}
	}
	return &Client{config: c, base: strings.TrimSuffix(c.URL, "/") + "/api/v1/integrations/SERVICE/endpoints/"}, nil
}

// For is the same client on behalf of one of your customers.
func (c *Client) For(tenant string) *Client {
	other := *c
	other.config.Tenant = tenant
	return &other
}

// Error is an answer that is no success, of the provider or of the gateway.
type Error struct {
	Status     int           // of the gateway's answer
	Code       string        // stable: provider_invalid, limit, unknown_outcome, queued, …
	Message    string        // fit for the person using the product
	Hint       string        // what to do
	Call       string        // id of the call at the gateway; empty when there was none
	Reason     string        // why the gateway ended it: limit, breaker, timeout, queued; empty when the provider did
	RetryAfter time.Duration // when to come again; zero when nobody said
}

// Error is the text for the log.
func (e *Error) Error() string {
	return fmt.Sprintf("SERVICE: %d %s: %s (call %s)", e.Status, e.Code, e.Message, e.Call)
}

// Queued reports whether the gateway will make the call by itself, later. Do not
// repeat it.
func (e *Error) Queued() bool { return e.Reason == "queued" }

// Unknown reports whether the call may have had its effect. Look before you
// repeat it.
func (e *Error) Unknown() bool { return e.Code == "unknown_outcome" }

// Option changes one call.
type Option func(*request)

// WithQuery adds query parameters, named as the provider names them.
func WithQuery(query url.Values) Option { return func(r *request) { r.Query = query } }

// WithIdempotencyKey makes repeats of the call, by you, one at the provider.
func WithIdempotencyKey(key string) Option { return func(r *request) { r.key = key } }

// request is one call of an endpoint as the gateway takes it.
type request struct {
	Tenant string            ` + "`json:\"tenant,omitempty\"`" + `
	Path   map[string]string ` + "`json:\"path,omitempty\"`" + `
	Query  url.Values        ` + "`json:\"query,omitempty\"`" + `
	Body   any               ` + "`json:\"body,omitempty\"`" + `
	key    string
}

func (c *Client) call(ctx context.Context, endpoint string, in request, out any, options []Option) error {
	in.Tenant = c.config.Tenant
	for _, set := range options {
		set(&in)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("SERVICE: %s: %w", endpoint, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+endpoint, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("SERVICE: %s: %w", endpoint, err)
	}
	r.Header.Set("Authorization", "Bearer "+c.config.Key)
	r.Header.Set("Content-Type", "application/json")
	if in.key != "" {
		r.Header.Set("Idempotency-Key", in.key)
	}
	resp, err := c.config.Client.Do(r)
	if err != nil {
		return fmt.Errorf("SERVICE: %s: %w", endpoint, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(answer) > maxAnswer {
		return fmt.Errorf("SERVICE: %s: the answer is larger than %d bytes or broke off: %w", endpoint, maxAnswer, err)
	}
	if resp.StatusCode >= 300 || resp.Header.Get("Sallyport-Reason") == "queued" {
		return problem(resp, answer)
	}
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil
	}
	if raw, ok := out.(*json.RawMessage); ok {
		*raw = answer
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("SERVICE: %s: call %s was made, and its answer is not what the plan says: %w", endpoint, resp.Header.Get("Sallyport-Call"), err)
	}
	return nil
}

// problem reads an answer that is no success (RFC 9457).
func problem(resp *http.Response, answer []byte) error {
	var p struct {
		Code   string ` + "`json:\"code\"`" + `
		Detail string ` + "`json:\"detail\"`" + `
		Hint   string ` + "`json:\"hint\"`" + `
	}
	if json.Unmarshal(answer, &p) != nil || p.Code == "" {
		p.Code, p.Detail = "http_"+strconv.Itoa(resp.StatusCode), http.StatusText(resp.StatusCode)
	}
	e := &Error{
		Status: resp.StatusCode, Code: p.Code, Message: p.Detail, Hint: p.Hint,
		Call: resp.Header.Get("Sallyport-Call"), Reason: resp.Header.Get("Sallyport-Reason"),
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
`

// service writes one method an endpoint.
func (g *golang) service(c *code) {
	var body code
	methods := unique{"For": true}
	for _, e := range g.endpoints {
		g.method(&body, e, methods.name(pascal(e.key)))
	}
	text := body.String()
	c.imports(text, map[string]string{"context.": "context", "json.RawMessage": "encoding/json"})
	c.WriteString(text)
}

// method writes one endpoint.
func (g *golang) method(c *code, e endpoint, name string) {
	var parameters, path, taken []string
	taken = append(taken, goTaken...)
	for _, v := range e.variables {
		local := camel(v, taken)
		taken = append(taken, local)
		parameters = append(parameters, local+" string")
		path = append(path, fmt.Sprintf("%s: %s", strconv.Quote(v), local))
	}
	in := "request{"
	if len(path) > 0 {
		in += "Path: map[string]string{" + strings.Join(path, ", ") + "}, "
	}
	if e.body {
		kind := "any"
		if e.plan.Send != "" {
			kind = g.types[typeKey(e.plan.Send, false)]
		}
		parameters = append(parameters, "in "+kind)
		in += "Body: in"
	}
	in = strings.TrimSuffix(in, ", ") + "}"
	result := "json.RawMessage"
	if e.plan.Receive != "" {
		result = "*" + g.types[typeKey(e.plan.Receive, true)]
	}
	list := ""
	if len(parameters) > 0 {
		list = ", " + strings.Join(parameters, ", ")
	}
	c.comment("", fmt.Sprintf("%s calls %s: %s", name, e.plan.Call, e.plan.Purpose))
	c.comment("", effectWords(e.plan))
	c.line("func (c *Client) %s(ctx context.Context%s, options ...Option) (%s, error) {", name, list, result)
	if e.plan.Receive != "" {
		c.line("out := new(%s)", strings.TrimPrefix(result, "*"))
		c.line("if err := c.call(ctx, %q, %s, out, options); err != nil {\nreturn nil, err\n}\nreturn out, nil\n}\n", e.key, in)
		return
	}
	c.line("var out json.RawMessage")
	c.line("err := c.call(ctx, %q, %s, &out, options)\nreturn out, err\n}\n", e.key, in)
}

// effectWords say what repeating the call would do.
func effectWords(e *plan.Endpoint) string {
	switch {
	case e.Effect == plan.EffectRead:
		return "It changes nothing and may be repeated."
	case e.Effect == plan.EffectUpdate:
		return "Repeating it ends in the same state."
	case e.Effect == plan.EffectIrreversible:
		return "It can't be undone: never repeat it after an error that is Unknown."
	case e.Idempotency != nil:
		return "Repeating it makes another one, unless WithIdempotencyKey names the same key."
	}
	return "Repeating it makes another one: never do so after an error that is Unknown."
}
