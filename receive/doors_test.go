package receive_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/verify"
)

// doorsOf opens the doors of Stripe with a plan and services changed by edit.
func doorsOf(t testing.TB, w *plan.Webhooks, edit func(*receive.Config)) *bundle {
	t.Helper()
	p := stripePlan(t)
	if w.Events == nil {
		w.Events = p.Webhooks.Events
	}
	p.Webhooks = w
	b := &bundle{inbox: &inbox{}, log: &lines{}, woken: make(chan *integration.Event, 1000)}
	c := receive.Config{
		Services: []receive.Service{{Plan: p, Secrets: func() []integration.Secret { return wrapped([]string{secret}) }}},
		Inbox:    b.inbox, Now: func() time.Time { return clock }, Log: slog.New(slog.NewJSONHandler(b.log, nil)),
	}
	if edit != nil {
		edit(&c)
	}
	var err error
	if b.Receiver, err = receive.New(c); err != nil {
		t.Fatal(err)
	}
	return b
}

func at(r *http.Request, address string) *http.Request {
	r.URL.Path = address
	r.RequestURI = address
	return r
}

// R5.3: each source has its own secret and its own tenant, and its events their
// own ids.
func TestSources(t *testing.T) {
	t.Parallel()
	w := &plan.Webhooks{Tenant: "json:data.object.metadata.tenant_id", Sources: map[string]plan.Source{"emea": {Secret: "emea_secret", Tenant: "emea-inc"}, "apac": {}}}
	b := doorsOf(t, w, func(c *receive.Config) {
		for name, secret := range map[string]string{"emea": "whsec_emea", "apac": "whsec_apac"} {
			c.Services = append(c.Services, receive.Service{Plan: c.Services[0].Plan, Source: name, Secrets: func() []integration.Secret { return wrapped([]string{secret}) }})
		}
	})
	for _, c := range []struct {
		address, key string
		status       int
		source       string
		tenant       string
	}{
		{"/api/webhooks/stripe", secret, 200, "", "acme"},
		{"/api/webhooks/stripe/emea", "whsec_emea", 200, "emea", "emea-inc"},
		{"/api/webhooks/stripe/apac", "whsec_apac", 200, "apac", "acme"},
		{"/api/webhooks/stripe/emea", secret, 401, "", ""},
		{"/api/webhooks/stripe", "whsec_emea", 401, "", ""},
		{"/api/webhooks/stripe/nowhere", secret, 404, "", ""},
		{"/api/webhooks/stripe/", secret, 404, "", ""},
		{"/api/webhooks/stripe/emea/x", "whsec_emea", 404, "", ""},
		{"/api/webhooks/paypal", secret, 404, "", ""},
	} {
		before := len(b.inbox.all())
		if answer := b.answer(at(signed(invoicePaid("evt_1"), c.key, clock), c.address)); answer.StatusCode != c.status {
			t.Errorf("%s: answered %d, want %d", c.address, answer.StatusCode, c.status)
		}
		events := b.inbox.all()[before:]
		switch {
		case c.status != 200 && len(events) > 0:
			t.Errorf("%s: kept what was refused", c.address)
		case c.status == 200 && (len(events) != 1 || events[0].Source != c.source || events[0].Tenant != c.tenant):
			t.Errorf("%s: kept %+v", c.address, events)
		}
	}
	if n := b.Unknown(); n != 4 {
		t.Errorf("%d requests to unknown addresses counted, want 4", n)
	}
	if s := b.Stats("stripe"); s.Received != 3 || s.Rejected["mismatch"] != 2 {
		t.Errorf("counted %+v", s)
	}
	if _, err := receive.New(receive.Config{Inbox: b.inbox, Services: []receive.Service{{Plan: stripePlan(t), Source: "none"}}}); err == nil {
		t.Error("a source that the plan has not was taken")
	}
}

// R5.3: the last part of the address is the tenant, whose own secret alone counts.
func TestTenantByPath(t *testing.T) {
	t.Parallel()
	away := errors.New("the store is away")
	b := doorsOf(t, &plan.Webhooks{Tenant: plan.TenantByPath}, func(c *receive.Config) {
		c.Services[0].Tenant = func(_ context.Context, name string) ([]integration.Secret, bool, error) {
			switch name {
			case "acme":
				return wrapped([]string{"whsec_acme"}), true, nil
			case "beta", "ümlaut corp":
				return nil, true, nil
			case "away":
				return nil, false, away
			case "sallyport:app":
				return nil, true, nil
			}
			return nil, false, nil
		}
	})
	for _, c := range []struct {
		address, key string
		status       int
		tenant       string
	}{
		{"/api/webhooks/stripe/acme", "whsec_acme", 200, "acme"},
		{"/api/webhooks/stripe/acme", secret, 401, ""},
		{"/api/webhooks/stripe/beta", secret, 200, "beta"},
		{"/api/webhooks/stripe/ümlaut corp", secret, 200, "ümlaut corp"},
		{"/api/webhooks/stripe/beta", "whsec_acme", 401, ""},
		{"/api/webhooks/stripe/nobody", secret, 404, ""},
		{"/api/webhooks/stripe/away", secret, 503, ""},
		{"/api/webhooks/stripe/sallyport:app", secret, 404, ""}, // would pass for an event of our own
		{"/api/webhooks/stripe/" + strings.Repeat("x", 600), secret, 404, ""},
		{"/api/webhooks/stripe/acme/acme", "whsec_acme", 404, ""},
	} {
		before := len(b.inbox.all())
		if answer := b.answer(at(signed(invoicePaid("evt_1"), c.key, clock), c.address)); answer.StatusCode != c.status {
			t.Errorf("%s: answered %d, want %d", c.address, answer.StatusCode, c.status)
		}
		events := b.inbox.all()[before:]
		switch {
		case c.status != 200 && len(events) > 0:
			t.Errorf("%s: kept what was refused", c.address)
		case c.status == 200 && (len(events) != 1 || events[0].Tenant != c.tenant || events[0].Source != c.tenant):
			t.Errorf("%s: one tenant's id took away another's event, or it has the wrong tenant: %+v", c.address, events)
		}
	}
}

// R5.3: the account that an event names is of a tenant, or of nobody.
func TestTenantByAccount(t *testing.T) {
	t.Parallel()
	b := doorsOf(t, &plan.Webhooks{Tenant: plan.TenantByAccount}, func(c *receive.Config) {
		c.Services[0].Account = func(_ context.Context, account string) (string, error) {
			switch account {
			case "acct_1":
				return "acme", nil
			case "acct_away":
				return "", errors.New("the store is away")
			}
			return "", nil
		}
	})
	for account, c := range map[string]struct {
		status int
		tenant string
	}{"acct_1": {200, "acme"}, "acct_2": {200, ""}, "": {200, ""}, "acct_away": {503, ""}} {
		before := len(b.inbox.all())
		body := fmt.Sprintf(`{"id":"evt_%s","type":"invoice.paid","account":%q}`, account, account)
		if answer := b.answer(signed(body, secret, clock)); answer.StatusCode != c.status {
			t.Errorf("%q: answered %d", account, answer.StatusCode)
		}
		events := b.inbox.all()[before:]
		if c.status == 200 && (len(events) != 1 || events[0].Tenant != c.tenant) || c.status != 200 && len(events) > 0 {
			t.Errorf("%q: kept %+v", account, events)
		}
	}
	if !strings.Contains(b.log.String(), "event.account_unknown") || !strings.Contains(b.log.String(), "acct_2") {
		t.Errorf("nobody hears of the unknown account: %s", b.log)
	}
}

func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// R5.7: compressed bodies are taken, whether the signature is over what came or
// what comes of it; what grows too large is refused.
func TestGzip(t *testing.T) {
	t.Parallel()
	plain := invoicePaid("evt_1")
	packed := zipped(t, plain)
	send := func(b *bundle, body, signedBody, coding string) *http.Response {
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/stripe", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Content-Encoding", coding)
		r.Header.Set("Stripe-Signature", signed(signedBody, secret, clock).Header.Get("Stripe-Signature"))
		return b.answer(r)
	}
	for name, c := range map[string]struct {
		body, signed, coding string
		status               int
	}{
		"signed as it came":       {packed, packed, "gzip", 200},
		"signed inflated":         {packed, plain, "x-gzip", 200},
		"signed otherwise":        {packed, plain + " ", "gzip", 401},
		"no gzip":                 {plain, plain, "gzip", 401},
		"cut short":               {packed[:len(packed)-4], packed[:len(packed)-4], "gzip", 401},
		"twice":                   {zipped(t, packed), packed, "gzip, gzip", 415},
		"another coding":          {plain, plain, "br", 415},
		"not encoded":             {plain, plain, "identity", 200},
		"a bomb":                  {zipped(t, strings.Repeat("0", 3_000_000)), plain, "gzip", 413},
		"a bomb with a signature": {zipped(t, strings.Repeat("0", 3_000_000)), zipped(t, strings.Repeat("0", 3_000_000)), "gzip", 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			if answer := send(b, c.body, c.signed, c.coding); answer.StatusCode != c.status {
				t.Fatalf("answered %d, want %d", answer.StatusCode, c.status)
			}
			events := b.inbox.all()
			if (len(events) == 1) != (c.status == 200) {
				t.Fatalf("%d events kept", len(events))
			}
			if len(events) == 1 && (string(events[0].Payload) != plain || c.coding != "identity" && events[0].Header.Get("Content-Encoding") != "") {
				t.Errorf("kept %q with %v", events[0].Payload, events[0].Header)
			}
		})
	}
}

// R5.5, R5.7: 25 MB are taken to the byte; many large bodies at once are told to
// come again, and small ones are taken all the same.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	large := invoicePaid("evt_large") + strings.Repeat(" ", 24_900_000)
	b := doorsOf(t, &plan.Webhooks{}, func(c *receive.Config) { c.Memory = 80_000_000 })
	if answer := b.answer(signed(large, secret, clock)); answer.StatusCode != http.StatusOK {
		t.Fatalf("answered %d", answer.StatusCode)
	}
	if events := b.inbox.all(); len(events) != 1 || string(events[0].Payload) != large {
		t.Error("it is not kept to the byte")
	}
	reader, writer := newBody()
	held := make(chan *http.Response)
	go func() {
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/stripe", reader)
		r.ContentLength = -1
		held <- b.answer(r)
	}()
	writer.fill(20_000_000)
	answer := b.answer(signed(large, secret, clock))
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("beyond the bound: answered %d", answer.StatusCode)
	}
	if answer := b.answer(signed(invoicePaid("evt_small"), secret, clock)); answer.StatusCode != http.StatusOK {
		t.Errorf("a small one: answered %d", answer.StatusCode)
	}
	writer.end()
	if answer := <-held; answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the stranger: answered %d", answer.StatusCode)
	}
	for range 2 { // all memory is given back, also by those that were refused
		if answer := b.answer(signed(large, secret, clock)); answer.StatusCode != http.StatusOK {
			t.Fatalf("after that: answered %d", answer.StatusCode)
		}
	}
}

// body is one that a test feeds.
type body struct {
	more chan int
	left int
	idle chan struct{} // everything fed so far was read
}

func newBody() (from, to *body) {
	b := &body{more: make(chan int), idle: make(chan struct{})}
	return b, b
}

// fill returns when n bytes were read.
func (b *body) fill(n int) { b.more <- n; <-b.idle }

func (b *body) end() { close(b.more) }

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		n, ok := <-b.more
		if !ok {
			return 0, io.EOF
		}
		b.left = n
	}
	n := min(len(p), b.left)
	b.left -= n
	if b.left == 0 {
		go func() { b.idle <- struct{}{} }()
	}
	return n, nil
}

// R5.11: an event that a call of ours caused is marked; a key is only noted.
func TestEchoes(t *testing.T) {
	t.Parallel()
	w := &plan.Webhooks{Echo: map[string]catalog.OneOrMore{"json:data.by": {"us", "me"}, "json:request.key": {"call.key"}}}
	b := doorsOf(t, w, nil)
	for body, want := range map[string]struct {
		echo bool
		keys int
	}{
		`{"id":"1","type":"invoice.paid","data":{"by":"me"}}`:           {true, 0},
		`{"id":"2","type":"invoice.paid","data":{"by":"them"}}`:         {false, 0},
		`{"id":"3","type":"invoice.paid","request":{"key":"k1"}}`:       {false, 1},
		`{"id":"4","type":"invoice.paid","data":{"by":"call.key"}}`:     {false, 0},
		`{"id":"5","type":"invoice.paid","request":{"key":null}}`:       {false, 0},
		`{"id":"6","type":"invoice.paid","data":{"object":{"by":"x"}}}`: {false, 0},
	} {
		r := signed(body, secret, clock)
		r.Header.Set("Sallyport-Event-Echo", "1") // nobody but us marks events
		r.Header.Set("Sallyport-Event-Batch", "x 1 2")
		r.Header.Set(integration.OriginHeader, "reconciled")
		if answer := b.answer(r); answer.StatusCode != http.StatusOK {
			t.Fatalf("answered %d", answer.StatusCode)
		}
		events := b.inbox.all()
		e := events[len(events)-1]
		if e.Echo() != want.echo || len(e.EchoKeys()) != want.keys {
			t.Errorf("%s: echo %v, keys %v", body, e.Echo(), e.EchoKeys())
		}
		if _, ok := e.Batch(); ok || e.Origin() != "" {
			t.Errorf("the sender marked the event: %v", e.Header)
		}
		for name := range e.ProvidersHeader() {
			if integration.IsMark(name) {
				t.Errorf("a mark passes for the provider's header: %s", name)
			}
		}
	}
}

// R5.2: forwarded addresses and certificates are believed of trusted forwarders.
func TestForwarders(t *testing.T) {
	t.Parallel()
	profile, err := catalog.Load("twilio")
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := verify.Compile(profile.Webhooks.Verify)
	if err != nil {
		t.Fatal(err)
	}
	in := &inbox{}
	door, err := receive.New(receive.Config{
		Services: []receive.Service{{
			Plan:    &plan.Plan{Service: "twilio", Provider: profile, Webhooks: &plan.Webhooks{}},
			Secrets: func() []integration.Secret { return wrapped([]string{secret}) },
		}},
		Inbox: in, Now: func() time.Time { return clock }, Log: quiet, Forwarders: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for n, c := range []struct {
		from, proto, host string
		status            int
	}{
		{"10.1.2.3:4000", "https", "hooks.example.com", 200},
		{"[::ffff:10.1.2.3]:4000", "https", "hooks.example.com", 200},
		{"10.1.2.3:4000", "http, https", "evil.example.com, hooks.example.com", 200},
		{"192.0.2.1:4000", "https", "hooks.example.com", 403},
		{"", "https", "hooks.example.com", 403},
		{"10.1.2.3:4000", "", "", 403},
	} {
		form := url.Values{"MessageSid": {fmt.Sprint("SM", n)}, "MessageStatus": {"sent"}}.Encode()
		of := &verify.Request{
			Method: http.MethodPost, URL: hooks + "/api/webhooks/twilio", Body: []byte(form),
			Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		}
		if err := scheme.Sign(of, integration.NewSecret(secret), clock); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080/api/webhooks/twilio", strings.NewReader(form))
		r.Header, r.RemoteAddr = of.Header, c.from
		r.Header.Set("X-Forwarded-Proto", c.proto)
		r.Header.Set("X-Forwarded-Host", c.host)
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if ok := w.Code < 300; ok != (c.status == 200) {
			t.Errorf("from %q: answered %d", c.from, w.Code)
		}
	}
}

// R5.2: a certificate in a header proves nothing unless a trusted forwarder sets it.
func TestForwardedCertificates(t *testing.T) {
	t.Parallel()
	profile, err := catalog.Load("salesforce")
	if err != nil {
		t.Fatal(err)
	}
	certificate, pin := clientCertificate(t)
	header := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})))
	body, kind := written("salesforce")
	in := &inbox{}
	door, err := receive.New(receive.Config{
		Services: []receive.Service{{
			Plan:    &plan.Plan{Service: "salesforce", Provider: profile, Webhooks: &plan.Webhooks{}},
			Secrets: func() []integration.Secret { return wrapped([]string{pin}) },
		}},
		Inbox: in, Now: func() time.Time { return clock }, Log: quiet, Forwarders: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from  string
		taken bool
	}{{"10.0.0.2:1", false}, {"10.0.0.1:1", true}} {
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/salesforce", strings.NewReader(body))
		r.RemoteAddr = c.from
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Ssl-Client-Cert", header)
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if (w.Code == http.StatusOK) != c.taken || (len(in.all()) == 1) != c.taken {
			t.Errorf("from %s: answered %d, %d kept", c.from, w.Code, len(in.all()))
		}
		if c.taken && !strings.Contains(w.Body.String(), "Ack") {
			t.Errorf("answered %s", w.Body)
		}
	}
}
