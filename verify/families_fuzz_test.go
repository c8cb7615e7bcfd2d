package verify

import (
	"net/http"
	"testing"
	"time"
)

// R5.1: for every family, nothing a stranger sends panics or is believed. The
// seeds are valid requests, signed with somebody else's key.
func FuzzFamilies(f *testing.F) {
	entries := otherSchemes(f)
	var schemes []*Scheme
	var ours [][2]string
	for i, e := range entries {
		schemes = append(schemes, compile(f, e.Verify))
		ours = append(ours, [2]string{"fuzz-secret-of-ours:0011223344556677", rfcEd25519})
		for _, v := range e.Vectors {
			r := v.request()
			f.Add(i, v.Method, v.URL, carried(e.Verify, r), r.Header.Get(e.Verify.TimestampHeader), r.Header.Get("Content-Type"), r.Body)
		}
	}
	f.Add(0, "POST", "https://example.com", `sig1=("content-digest");created=1`, "sig1=:eA==:", "sha-256=:eA==:", []byte("{}"))
	f.Fuzz(func(t *testing.T, n int, method, u, signature, timestamp, contentType string, body []byte) {
		i := int(uint(n) % uint(len(schemes)))
		v := entries[i].Verify
		r := &Request{Method: method, URL: u, Body: body, Header: http.Header{"Content-Type": {contentType}}, Config: map[string]string{"audience": "a"}}
		for _, h := range v.Header {
			r.Header.Set(h, signature)
		}
		r.Header.Set(v.TimestampHeader, timestamp)
		r.Header.Set("Signature-Input", signature)
		r.Header.Set("Content-Digest", contentType)
		for _, h := range []string{"webhook-id", "Kick-Event-Message-Id", "PAYPAL-TRANSMISSION-ID", "X-HubSpot-Signature-Version"} {
			r.Header.Set(h, "v1")
		}
		given := Given{Secrets: secrets(ours[i][0], ours[i][1]), Now: time.Unix(1_700_000_000, 0), Keys: KeySet{}}
		if err := schemes[i].VerifyWith(t.Context(), r, given); err == nil {
			t.Fatalf("%v verified %q %q", v, signature, body)
		}
		if e := schemes[i].Explain(t.Context(), r, given); e.Valid || len(e.Reasons) == 0 {
			t.Fatalf("explained as %+v", e)
		}
	})
}

// rfcEd25519 is the public key of RFC 9421, B.1.4; its private half signed none
// of the seeds.
const rfcEd25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n"

// Keys and certificates come from other servers and from headers: nothing in them
// panics, and what is read is a key.
func FuzzParseKeys(f *testing.F) {
	for _, e := range otherSchemes(f) {
		for _, v := range e.Vectors {
			if v.PublicKey != "" {
				f.Add(e.Verify.KeyEncoding, []byte(v.PublicKey))
			}
		}
	}
	f.Add("jwks", []byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"oct","k":"AQ"}]}`))
	f.Add("jwk", []byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AQ"}`))
	f.Add("hex_public_key", []byte("00"))
	f.Fuzz(func(t *testing.T, encoding string, data []byte) {
		keys, err := ParseKeys(encoding, data)
		if err == nil && len(keys) == 0 {
			t.Fatal("no keys and no error")
		}
		for _, k := range keys {
			for _, p := range publicAlgorithms {
				if p.check(k.Public, make([]byte, 32), []byte("not a signature")) {
					t.Fatal("a signature out of nothing")
				}
			}
		}
		_, _ = ForwardedCertificate(string(data))
		_, _ = ParsePrivateKey(encoding, string(data))
	})
}
