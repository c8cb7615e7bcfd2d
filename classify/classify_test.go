package classify_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/classify"
	"github.com/sallyport/sallyport/integration"
)

var now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func dialect(t testing.TB, id string) *classify.Dialect {
	t.Helper()
	p, err := catalog.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	d, err := classify.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// R4.1 to R4.9, in the dialects of three providers.
func TestAnswer(t *testing.T) {
	t.Parallel()
	const slackError = `{"ok":false,"error":"%s"}`
	for _, c := range []struct {
		row      string
		provider string
		status   int
		header   http.Header
		body     string
		want     integration.Class
		code     string // the provider's
		wait     time.Duration
	}{
		{row: "success", provider: "stripe", status: 200, body: `{"id":"cus_1"}`, want: integration.ClassOK},
		{row: "success without a body", provider: "stripe", status: 204, want: integration.ClassOK},
		{row: "not modified", provider: "github", status: 304, want: integration.ClassOK},
		{row: "R4.1", provider: "stripe", status: 400, body: `{"error":{"type":"invalid_request_error","code":"parameter_missing","message":"Missing"}}`, want: integration.ClassInvalid, code: "parameter_missing"},
		{row: "R4.1 validation", provider: "github", status: 422, body: `{"message":"Validation Failed","errors":[{"code":"missing_field"}]}`, want: integration.ClassInvalid, code: "missing_field"},
		{row: "R4.1 a card declined", provider: "stripe", status: 402, body: `{"error":{"code":"card_declined"}}`, want: integration.ClassRejected, code: "card_declined"},
		{row: "R4.2", provider: "stripe", status: 401, want: integration.ClassUnauthorized},
		{row: "R4.3", provider: "stripe", status: 403, want: integration.ClassForbidden},
		{row: "R4.3 without a sign of a limit", provider: "github", status: 403, header: header("X-RateLimit-Remaining: 17"), body: `{"message":"Resource not accessible"}`, want: integration.ClassForbidden},
		{row: "R4.3 as a limit, window used up", provider: "github", status: 403, header: header("X-RateLimit-Remaining: 0", fmt.Sprintf("X-RateLimit-Reset: %d", now.Unix()+90)), want: integration.ClassLimited, wait: 90 * time.Second},
		{row: "R4.3 as a limit, by Retry-After", provider: "github", status: 403, header: header("Retry-After: 60"), want: integration.ClassLimited, wait: time.Minute},
		{row: "R4.3 as a limit, by its message", provider: "github", status: 403, body: `{"message":"You have exceeded a secondary rate limit."}`, want: integration.ClassLimited},
		{row: "R4.4", provider: "stripe", status: 404, want: integration.ClassMissing},
		{row: "R4.4 gone", provider: "stripe", status: 410, want: integration.ClassMissing},
		{row: "R4.5", provider: "stripe", status: 409, body: `{"error":{"code":"idempotency_key_in_use"}}`, want: integration.ClassConflict, code: "idempotency_key_in_use"},
		{row: "R4.6", provider: "stripe", status: 429, header: header("Retry-After: 7"), body: `{"error":{"code":"rate_limit"}}`, want: integration.ClassLimited, code: "rate_limit", wait: 7 * time.Second},
		{row: "R4.6 another limit than the header's", provider: "github", status: 429, header: header("X-RateLimit-Remaining: 12", "X-RateLimit-Reset: 1795600000"), want: integration.ClassLimited},
		{row: "R4.7", provider: "stripe", status: 500, want: integration.ClassUnavailable},
		{row: "R4.7 with a wait", provider: "stripe", status: 503, header: header("Retry-After: 3"), want: integration.ClassUnavailable, wait: 3 * time.Second},
		{row: "R4.7 an HTML page", provider: "stripe", status: 502, body: `<html>{"error":{"code":"x"}}`, want: integration.ClassUnavailable},
		{row: "R4.8 the provider's own timeout", provider: "stripe", status: 408, want: integration.ClassTimeout},
		{row: "R4.9 limit", provider: "slack", status: 200, header: header("Retry-After: 30"), body: fmt.Sprintf(slackError, "ratelimited"), want: integration.ClassLimited, code: "ratelimited", wait: 30 * time.Second},
		{row: "R4.9 credential", provider: "slack", status: 200, body: fmt.Sprintf(slackError, "invalid_auth"), want: integration.ClassUnauthorized, code: "invalid_auth"},
		{row: "R4.9 permission", provider: "slack", status: 200, body: fmt.Sprintf(slackError, "missing_scope"), want: integration.ClassForbidden, code: "missing_scope"},
		{row: "R4.9 not there", provider: "slack", status: 200, body: fmt.Sprintf(slackError, "channel_not_found"), want: integration.ClassMissing, code: "channel_not_found"},
		{row: "R4.9 theirs", provider: "slack", status: 200, body: fmt.Sprintf(slackError, "internal_error"), want: integration.ClassUnavailable, code: "internal_error"},
		{row: "R4.9 any other", provider: "slack", status: 200, body: fmt.Sprintf(slackError, "msg_too_long"), want: integration.ClassRejected, code: "msg_too_long"},
		{row: "R4.9 success", provider: "slack", status: 200, body: `{"ok":true}`, want: integration.ClassOK},
		{row: "R4.9 only where declared", provider: "stripe", status: 200, body: `{"ok":false,"error":{"code":"x"}}`, want: integration.ClassOK},
		{row: "R4.9 cut off behind the sign", provider: "slack", status: 200, body: `{"ok":false,"error":"ratelimited","more":"aaaa`, want: integration.ClassLimited, code: "ratelimited"},
		{row: "redirect", provider: "stripe", status: 302, want: integration.ClassBroken},
		{row: "no status of HTTP", provider: "stripe", status: 700, want: integration.ClassBroken},
		{row: "body that is no JSON", provider: "slack", status: 200, body: "ok", want: integration.ClassOK},
	} {
		t.Run(c.row, func(t *testing.T) {
			t.Parallel()
			class, f := dialect(t, c.provider).Answer(c.status, c.header, []byte(c.body), now)
			if class != c.want {
				t.Fatalf("%d is %s, want %s", c.status, class, c.want)
			}
			if (f == nil) != (class == integration.ClassOK) {
				t.Fatalf("failure %+v for %s", f, class)
			}
			if f == nil {
				return
			}
			if f.Class != class || f.ProviderCode != c.code || f.RetryAfter != c.wait {
				t.Errorf("got %+v, want code %q and wait %s", f, c.code, c.wait)
			}
			if f.Message == "" || f.Hint == "" || f.Code == "" || f.Err == nil {
				t.Errorf("a reader is left out: %+v", f)
			}
			if f.ProviderMessage != "" && strings.Contains(f.Message, f.ProviderMessage) {
				t.Errorf("the provider's words are in the message for people: %q", f.Message)
			}
		})
	}
}

func TestProviderWords(t *testing.T) {
	t.Parallel()
	body := `{"error":{"code":["not","text"],"message":"line one\nline two\u0000` + strings.Repeat("ü", 600) + `"}}`
	_, f := dialect(t, "stripe").Answer(400, header("Request-Id: req_1"), []byte(body), now)
	if f.ProviderRequestID != "req_1" {
		t.Errorf("request id %q (E26)", f.ProviderRequestID)
	}
	if f.ProviderCode != "" {
		t.Errorf("code %q", f.ProviderCode)
	}
	if len(f.ProviderMessage) > classify.MaxText+4 || strings.ContainsAny(f.ProviderMessage, "\n\x00") || !utf8.ValidString(f.ProviderMessage) {
		t.Errorf("message %q", f.ProviderMessage)
	}
	if !strings.HasPrefix(f.ProviderMessage, "line one line two") {
		t.Errorf("message %q", f.ProviderMessage)
	}
}

// R4.6: seconds, decimals, dates; absurd values capped; never shortened.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header http.Header
		want   time.Duration
		ok     bool
	}{
		{header("Retry-After: 0"), 0, true},
		{header("Retry-After: 2"), 2 * time.Second, true},
		{header("Retry-After:  2 "), 2 * time.Second, true},
		{header("Retry-After: 2.5"), 2500 * time.Millisecond, true},
		{header("Retry-After: 0.0001"), time.Millisecond, true},
		{header("Retry-After: 31536000"), classify.MaxRetryAfter, true},
		{header("Retry-After: " + strings.Repeat("9", 400)), classify.MaxRetryAfter, true},
		{header("Retry-After: Tue, 24 Nov 2026 09:00:05 GMT"), 5 * time.Second, true},
		{header("Retry-After: Tue, 24 Nov 2026 08:00:00 GMT"), 0, true},
		{header("Retry-After: Tue, 24 Nov 2099 08:00:00 GMT"), classify.MaxRetryAfter, true},
		{header("Retry-After: Tue, 24 Nov 2026 09:00:05 GMT", "Date: Tue, 24 Nov 2026 08:59:55 GMT"), 10 * time.Second, true},
		{header("Retry-After: Tue, 24 Nov 2026 09:00:05 GMT", "Date: Tue, 24 Nov 2026 09:00:04 GMT"), 5 * time.Second, true},
		{header("Retry-After: -5"), 0, false},
		{header("Retry-After: 1e9"), 0, false},
		{header("Retry-After: NaN"), 0, false},
		{header("Retry-After: 1.2.3"), 0, false},
		{header("Retry-After: soon"), 0, false},
		{header(), 0, false},
	} {
		if got, ok := classify.RetryAfter(c.header, now); got != c.want || ok != c.ok {
			t.Errorf("%v: %s %v, want %s %v", c.header, got, ok, c.want, c.ok)
		}
	}
}

func TestResetFormats(t *testing.T) {
	t.Parallel()
	for format, value := range map[string]string{
		"seconds": "90", "epoch_seconds": fmt.Sprint(now.Unix() + 90), "epoch_milliseconds": fmt.Sprint(now.UnixMilli() + 90_000),
		"http_date": "Tue, 24 Nov 2026 09:01:30 GMT", "iso8601": "2026-11-24T10:01:30+01:00",
	} {
		d, err := classify.Compile(&catalog.Profile{Limits: catalog.Limits{Headers: &catalog.LimitHeaders{Reset: "X-Reset", ResetFormat: format}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, f := d.Answer(429, header("X-Reset: "+value), nil, now); f.RetryAfter != 90*time.Second {
			t.Errorf("%s: %s", format, f.RetryAfter)
		}
		if _, f := d.Answer(429, header("X-Reset: nonsense"), nil, now); f.RetryAfter != 0 {
			t.Errorf("%s of nonsense: %s", format, f.RetryAfter)
		}
		if _, f := d.Answer(503, header("X-Reset: "+value), nil, now); f.RetryAfter != 0 {
			t.Errorf("%s: the window of a limit delays a 503 by %s", format, f.RetryAfter)
		}
	}
}

// R4.8: what went wrong without an answer, and whether it may have been sent.
func TestError(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for name, c := range map[string]struct {
		err  error
		want integration.Class
		sent bool
	}{
		"refused":               {dial, integration.ClassNetwork, false},
		"refused, wrapped":      {&url.Error{Op: "Get", URL: "https://x", Err: dial}, integration.ClassNetwork, false},
		"dial timeout":          {&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, integration.ClassTimeout, false},
		"name unknown":          {&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}}, integration.ClassNetwork, false},
		"name server silent":    {&net.DNSError{Err: "timeout", IsTimeout: true}, integration.ClassNetwork, false},
		"certificate":           {x509.UnknownAuthorityError{}, integration.ClassNetwork, false},
		"told by the sender":    {told{}, integration.ClassNetwork, false},
		"reset":                 {&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, integration.ClassNetwork, true},
		"closed":                {io.ErrUnexpectedEOF, integration.ClassNetwork, true},
		"read timeout":          {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, integration.ClassTimeout, true},
		"our clock":             {&classify.Timeout{Clock: "attempt", After: time.Second}, integration.ClassTimeout, true},
		"the caller left":       {context.Canceled, integration.ClassCanceled, true},
		"the caller's deadline": {fmt.Errorf("waiting: %w", context.DeadlineExceeded), integration.ClassCanceled, true},
		"our own refusal":       {fmt.Errorf("x: %w", &integration.Failure{Class: integration.ClassInvalid, Code: "egress_host"}), integration.ClassInvalid, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			class, sent, f := dialect(t, "stripe").Error(c.err)
			if class != c.want || sent != c.sent || f == nil || f.Class != class {
				t.Errorf("%s, sent %v, %+v; want %s, sent %v", class, sent, f, c.want, c.sent)
			}
		})
	}
}

type told struct{}

func (told) Error() string { return "handshake" }
func (told) NotSent() bool { return true }

func TestCompile(t *testing.T) {
	t.Parallel()
	_, err := classify.Compile(&catalog.Profile{Errors: catalog.Errors{Meanings: []catalog.MeaningRule{{Class: "limitted"}}}})
	if err == nil || !strings.Contains(err.Error(), `errors.meanings[0].class: "limitted"`) {
		t.Error(err)
	}
	d, err := classify.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	if class, f := d.Answer(503, nil, nil, now); class != integration.ClassUnavailable || f == nil {
		t.Errorf("plain HTTP: %s", class)
	}
	if d.NeedsBody(200) || !d.NeedsBody(500) || !dialect(t, "slack").NeedsBody(200) {
		t.Error("bodies are asked for where they are not needed, or the other way")
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"ok":false,"error":"ratelimited"}`, "Retry-After", "30")
	f.Add(403, `{"message":"secondary rate limit"}`, "X-Ratelimit-Remaining", "0")
	f.Add(429, `[`, "X-Ratelimit-Reset", "1e300")
	f.Add(429, "\x00", "Retry-After", "Tue, 24 Nov 2026 09:00:05 GMT")
	dialects := []*classify.Dialect{dialect(f, "slack"), dialect(f, "github"), dialect(f, "stripe")}
	files, err := filepath.Glob("testdata/answers/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	var fromFiles []*classify.Dialect
	for _, file := range files {
		p, d := readProvider(f, file)
		fromFiles = append(fromFiles, d)
		for _, a := range p.Answers {
			f.Add(a.Status, a.Body, "Retry-After", "2")
			for name, value := range a.Header {
				f.Add(a.Status, a.Body, name, value)
			}
		}
	}
	f.Add(400, "<a><b c='d'>&x;</b", "Content-Type", "application/xml")
	f.Add(400, "<h1>"+strings.Repeat("<a>", 100), "Content-Type", "text/html")
	f.Add(400, "a=%zz&b=1", "Content-Type", "application/x-www-form-urlencoded")
	f.Fuzz(func(t *testing.T, status int, body, name, value string) {
		for _, d := range append(slices.Clip(dialects), fromFiles...) {
			class, failure := d.Answer(status, http.Header{name: {value}}, []byte(body), now)
			if (failure == nil) != (class == integration.ClassOK) {
				t.Fatalf("%s with %+v", class, failure)
			}
			if failure == nil {
				continue
			}
			if failure.RetryAfter < 0 || failure.RetryAfter > classify.MaxRetryAfter {
				t.Errorf("a wait of %s", failure.RetryAfter)
			}
			for _, text := range []string{failure.ProviderCode, failure.ProviderMessage, failure.ProviderRequestID} {
				if !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n") || len(text) > classify.MaxText+4 {
					t.Errorf("text not fit for a log: %q", text)
				}
			}
		}
	})
}

func ExampleDialect_Answer() {
	slack, err := catalog.Load("slack")
	if err != nil {
		panic(err)
	}
	d, err := classify.Compile(slack)
	if err != nil {
		panic(err)
	}
	class, failure := d.Answer(200, http.Header{"Retry-After": {"30"}}, []byte(`{"ok":false,"error":"ratelimited"}`), time.Now())
	fmt.Println(class, failure.ProviderCode, failure.RetryAfter)
	// Output: limited ratelimited 30s
}

func TestErrorsAs(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	_, _, f := dialect(t, "stripe").Error(cause)
	if !errors.Is(f, cause) {
		t.Error("the cause is lost")
	}
}
