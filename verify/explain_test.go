package verify_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

// githubScheme signs the body alone.
func githubScheme() catalog.Verification {
	return catalog.Verification{
		Scheme: "hmac", Header: catalog.OneOrMore{"X-Hub-Signature-256"}, Algorithm: "hmac-sha256", Encoding: "hex",
		SignedContent: "{body}", KeyEncoding: "utf8", Format: "sha256={sig}", Parse: &catalog.SignatureParse{Prefix: "sha256="},
	}
}

// signed is a request signed by the scheme with the key at signedAt.
func signed(t testing.TB, v catalog.Verification, r *verify.Request, key string) *verify.Request {
	t.Helper()
	r.Header.Set("webhook-id", "msg_1")
	if err := compile(t, v).Sign(r, integration.NewSecret(key), signedAt); err != nil {
		t.Fatal(err)
	}
	return r
}

func with(v catalog.Verification, change func(*catalog.Verification)) catalog.Verification {
	change(&v)
	return v
}

// R5.2: of each thing that usually goes wrong the explanation finds that very one.
func TestExplainFindsTheReason(t *testing.T) {
	t.Parallel()
	const body = `{"a":1,"b":"x/y","c":["é"]}`
	url := with(githubScheme(), func(v *catalog.Verification) { v.SignedContent = "{url}{body}" })
	for name, c := range map[string]struct {
		signedBy catalog.Verification
		checked  catalog.Verification
		body     string
		change   func(*verify.Request)
		secrets  []string
		now      time.Time
		want     string
	}{
		"indented":         {body: body, change: setBody("{\n  \"a\": 1,\n  \"b\": \"x/y\",\n  \"c\": [\n    \"é\"\n  ]\n}"), want: "it was indented"},
		"compacted":        {body: "{\n  \"a\": 1\n}", change: setBody(`{"a":1}`), want: "two spaces"},
		"python":           {body: `{"a": 1, "b": "x:y, \"z\""}`, change: setBody(`{"a":1,"b":"x:y, \"z\""}`), want: "spaces after separators"},
		"unicode escapes":  {body: `{"c":"\u00e9"}`, change: setBody(`{"c":"é"}`), want: `\u escapes`},
		"php slashes":      {body: `{"b":"x\/y"}`, change: setBody(`{"b":"x/y"}`), want: "escapes of slashes"},
		"editor":           {body: body, change: setBody(body + "\n"), want: "white space at its end"},
		"lost CR LF":       {body: body + "\r\n", change: setBody(body), want: "lost the CR LF"},
		"line breaks":      {body: "a=1\nb=2\n", change: setBody("a=1\r\nb=2\r\n"), want: "became CR LF"},
		"byte order mark":  {body: body, change: setBody("\xef\xbb\xbf" + body), want: "byte order mark"},
		"stray line break": {body: body, secrets: []string{secret + "\n"}, want: "white space around it"},
		"quoted":           {body: body, secrets: []string{`"` + secret + `"`}, want: "quotation marks"},
		"lost whsec_":      {body: body, secrets: []string{strings.TrimPrefix(secret, "whsec_")}, want: "lost its prefix whsec_"},
		"another encoding": {signedBy: with(githubScheme(), func(v *catalog.Verification) { v.KeyEncoding = "base64_after_prefix:whsec_" }), body: body, want: "signed with it as base64_after_prefix"},
		"http inside":      {signedBy: url, checked: url, body: body, change: func(r *verify.Request) { r.SetURL("http://example.com/hook") }, want: "https outside"},
		"slash":            {signedBy: url, checked: url, body: body, change: func(r *verify.Request) { r.SetURL("https://example.com/hook/") }, want: "no slash"},
		"port":             {signedBy: url, checked: url, body: body, change: func(r *verify.Request) { r.SetURL("https://example.com:8080/hook") }, want: "no port"},
		"forwarded": {signedBy: url, checked: url, body: body, change: func(r *verify.Request) {
			r.SetURL("http://10.0.0.7:8080/hook")
			r.Header.Set("X-Forwarded-Host", "example.com")
		}, want: "X-Forwarded-Host, with https"},
		"base64":      {signedBy: with(githubScheme(), func(v *catalog.Verification) { v.Encoding = "base64" }), body: body, want: "base64 where the scheme has hex"},
		"lost prefix": {signedBy: with(githubScheme(), func(v *catalog.Verification) { v.Parse, v.Format = nil, "{sig}" }), body: body, want: `without its prefix "sha256="`},
		"renamed header": {body: body, change: func(r *verify.Request) {
			r.Header.Set("X-Original-Signature", r.Header.Get("X-Hub-Signature-256"))
			r.Header.Del("X-Hub-Signature-256")
		}, want: "stands in X-Original-Signature"},
		"old":               {signedBy: standardScheme(), checked: standardScheme(), body: body, now: signedAt.Add(time.Hour), want: "The time is old"},
		"ahead":             {signedBy: standardScheme(), checked: standardScheme(), body: body, now: signedAt.Add(-time.Hour), want: "The time lies ahead"},
		"milliseconds":      {signedBy: with(standardScheme(), func(v *catalog.Verification) { v.TimestampUnit = "ms" }), checked: standardScheme(), body: body, now: signedAt, want: "The time is in ms"},
		"test mode":         {body: `{"livemode":false}`, secrets: []string{"whsec_live"}, want: "from test mode"},
		"just wrong":        {body: body, secrets: []string{"another-secret"}, want: "The secret is another one"},
		"nothing":           {body: body, change: func(r *verify.Request) { r.Header = http.Header{} }, want: "The header is missing"},
		"no secret":         {body: body, secrets: []string{""}, want: "No secret can be used"},
		"another mac":       {body: body, change: func(r *verify.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=00") }, want: "another form"},
		"secret with blank": {body: body, secrets: []string{" " + secret}, want: "white space around it"},
	} {
		if c.signedBy.Scheme == "" {
			c.signedBy = githubScheme()
		}
		if c.checked.Scheme == "" {
			c.checked = githubScheme()
		}
		if c.secrets == nil {
			c.secrets = []string{secret}
		}
		if c.now.IsZero() {
			c.now = signedAt
		}
		r := signed(t, c.signedBy, post(c.body), secret)
		if c.change != nil {
			c.change(r)
		}
		got := compile(t, c.checked).Explain(t.Context(), r, verify.Given{Secrets: secrets(c.secrets...), Now: c.now})
		if got.Valid || got.Error == "" || len(got.Reasons) == 0 || !strings.Contains(got.Reasons[0], c.want) {
			t.Errorf("%s: %+v", name, got)
		}
		noSecret(t, name, got, append(c.secrets, secret)...)
	}
}

func setBody(body string) func(*verify.Request) {
	return func(r *verify.Request) { r.SetBody([]byte(body)) }
}

// noSecret fails when the explanation holds a secret, or a signature that would
// be valid.
func noSecret(t testing.TB, name string, e verify.Explanation, values ...string) {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if v = strings.TrimSpace(v); len(v) > 8 && strings.Contains(string(text), v) {
			t.Errorf("%s: the explanation tells %q", name, v)
		}
	}
}

// R5.1: who explains a forged request must not learn the right signature.
func TestExplainTellsNoSignature(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]catalog.Verification{"github": githubScheme(), "stripe": stripeScheme(), "standard": standardScheme()} {
		right := signed(t, v, post(`{"a":1}`), secret)
		valid := right.Header.Get(v.Header[0])
		valid = valid[strings.LastIndexAny(valid, "=,")+1:]
		if name == "standard" {
			valid = right.Header.Get(v.Header[0])[len("v1,"):]
		}
		forged := signed(t, v, post(`{"a":1}`), "whsec_c29tZWJvZHktZWxzZXM=")
		got := compile(t, v).Explain(t.Context(), forged, verify.Given{Secrets: secrets(secret), Now: signedAt})
		if got.Valid {
			t.Errorf("%s: a forgery is valid", name)
		}
		noSecret(t, name, got, secret, valid)
		text, _ := json.Marshal(got)
		if !strings.Contains(string(text), valid[:8]) {
			t.Errorf("%s: not even the beginning is told: %s", name, text)
		}
		got = compile(t, v).Explain(t.Context(), right, verify.Given{Secrets: secrets(secret), Now: signedAt})
		if !got.Valid || len(got.Reasons) > 0 || got.Error != "" {
			t.Errorf("%s: %+v", name, got)
		}
		for _, step := range got.Steps {
			if !step.OK {
				t.Errorf("%s: step %+v of a valid request", name, step)
			}
		}
	}
}
