package verify

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// rfcRequest is the request of RFC 9421, B.2.
func rfcRequest() *Request {
	return &Request{
		Method: http.MethodPost, URL: "https://example.com/foo?param=Value&Pet=dog", Body: []byte(`{"hello": "world"}`),
		Header: http.Header{
			"Date": {"Tue, 20 Apr 2021 02:07:55 GMT"}, "Content-Type": {"application/json"}, "Content-Length": {"18"},
			"Content-Digest": {"sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"},
		},
	}
}

func rfcBase(t *testing.T, input string) string {
	t.Helper()
	d, err := httpsfv.UnmarshalDictionary([]string{input})
	if err != nil {
		t.Fatal(err)
	}
	member, _ := d.Get(d.Names()[0])
	base, _, err := signatureBase(rfcRequest(), member.(httpsfv.InnerList))
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// R5.2: the vectors of RFC 9421, B.2.5 (HMAC) and B.2.6 (Ed25519).
func TestRFC9421Vectors(t *testing.T) {
	t.Parallel()
	base := rfcBase(t, `sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`)
	key, err := base64.StdEncoding.DecodeString("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(base))
	if got := base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=" {
		t.Errorf("B.2.5: %s over\n%s", got, base)
	}
	base = rfcBase(t, `sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`)
	k, err := ParseKey("pem", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n")
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString("wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==")
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(k.Public.(ed25519.PublicKey), []byte(base), sig) {
		t.Errorf("B.2.6 over\n%s", base)
	}
	if err := checkDigest(rfcRequest()); err != nil {
		t.Error(err)
	}
}

// R5.1: what a signature according to RFC 9421 must cover and must say.
func TestMessageSignature(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := hex.EncodeToString(private.Public().(ed25519.PublicKey))
	v := catalog.Verification{
		Scheme: "http_message_signatures", Header: catalog.OneOrMore{"Signature"}, TimestampHeader: "param:created", ToleranceS: 300,
		Algorithm: "ed25519", SignedContent: "@method @target-uri content-digest", KeyEncoding: "hex_public_key",
	}
	s := compile(t, v)
	for name, c := range map[string]struct {
		change func(*Request)
		now    time.Time
		want   error
	}{
		"good":           {func(*Request) {}, now, nil},
		"body":           {func(r *Request) { r.SetBody([]byte("{} ")) }, now, ErrMismatch},
		"method":         {func(r *Request) { r.Method = http.MethodPut }, now, ErrMismatch},
		"address":        {func(r *Request) { r.SetURL("https://example.com/other") }, now, ErrMismatch},
		"no digest":      {func(r *Request) { r.Header.Del("Content-Digest") }, now, ErrUnsigned},
		"unknown digest": {func(r *Request) { r.Header.Set("Content-Digest", "md5=:eA==:") }, now, ErrMalformed},
		"no input":       {func(r *Request) { r.Header.Del("Signature-Input") }, now, ErrUnsigned},
		"another label":  {func(r *Request) { replace(r, "Signature", "sig1=", "sig2=") }, now, ErrMalformed},
		"another time":   {func(r *Request) { replace(r, "Signature-Input", "1700000000", "1700000001") }, now, ErrMismatch},
		"no time":        {func(r *Request) { replace(r, "Signature-Input", ";created=1700000000", "") }, now, ErrMalformed},
		"another alg": {func(r *Request) {
			r.Header.Set("Signature-Input", r.Header.Get("Signature-Input")+`;alg="hmac-sha256"`)
		}, now, ErrMalformed},
		"expired":             {func(r *Request) { r.Header.Set("Signature-Input", r.Header.Get("Signature-Input")+`;expires=1`) }, now, ErrMismatch},
		"less is covered":     {func(r *Request) { replace(r, "Signature-Input", ` "content-digest"`, "") }, now, ErrMalformed},
		"covered twice":       {func(r *Request) { replace(r, "Signature-Input", `"@method"`, `"@method" "@method"`) }, now, ErrMalformed},
		"odd parameter":       {func(r *Request) { replace(r, "Signature-Input", `"@method"`, `"@method";req`) }, now, ErrMalformed},
		"garbage":             {func(r *Request) { r.Header.Set("Signature-Input", "((((") }, now, ErrMalformed},
		"many":                {func(r *Request) { r.Header.Set("Signature-Input", strings.Repeat("a,", 20000)+"b") }, now, ErrMalformed},
		"a signature of text": {func(r *Request) { r.Header.Set("Signature", `sig1="x"`) }, now, ErrMalformed},
		"old":                 {func(*Request) {}, now.Add(301 * time.Second), ErrStale},
		"ahead":               {func(*Request) {}, now.Add(-301 * time.Second), ErrFuture},
	} {
		r := &Request{Method: http.MethodPost, URL: "https://example.com/hooks?a=b", Header: http.Header{}, Body: []byte("{}")}
		if err := s.Sign(r, integration.NewSecret(privatePEM(t, private)), now); err != nil {
			t.Fatal(err)
		}
		c.change(r)
		if err := s.Verify(r, secrets(public), c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	v.SignedContent = "@method"
	if _, err := Compile(v); err == nil {
		t.Error("a scheme that leaves the body open compiles")
	}
	for _, target := range []string{"@query", "@path", "@scheme", "@authority", "@request-target", `@query-param`} {
		if _, err := component(rfcRequest(), target, nil); (err != nil) != (target == "@query-param") {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func replace(r *Request, header, old, with string) {
	r.Header.Set(header, strings.ReplaceAll(r.Header.Get(header), old, with))
}

// RFC 9421 with a shared secret.
func TestMessageSignatureHMAC(t *testing.T) {
	t.Parallel()
	v := catalog.Verification{
		Scheme: "http_message_signatures", Header: catalog.OneOrMore{"Signature"}, Algorithm: "hmac-sha256", SignedContent: "content-digest", KeyEncoding: "utf8",
	}
	s, now := compile(t, v), time.Unix(1_700_000_000, 0)
	r := &Request{Method: http.MethodPost, URL: "https://example.com/", Header: http.Header{}, Body: []byte("{}")}
	if err := s.Sign(r, integration.NewSecret("key-1"), now); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(r, secrets("key-0", "key-1"), now); err != nil {
		t.Error(err)
	}
	if err := s.Verify(r, secrets("key-0"), now); !errors.Is(err, ErrMismatch) {
		t.Error(err)
	}
}
