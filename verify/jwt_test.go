package verify_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

func b64(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

type claims map[string]any

// token signs claims with go-jose; header gets further values.
func token(t testing.TB, alg jose.SignatureAlgorithm, key any, c claims, header map[jose.HeaderKey]any) string {
	t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: header}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func jwtScheme() catalog.Verification {
	return catalog.Verification{
		Scheme: "jwt", Header: catalog.OneOrMore{"Authorization"}, Parse: &catalog.SignatureParse{Prefix: "Bearer "}, TimestampHeader: "jwt:iat",
		Algorithm: "HS256", KeyEncoding: "utf8", ToleranceS: 300,
		Claims: map[string]catalog.OneOrMore{"aud": {"{config:audience}"}, "iss": {"a", "b"}},
	}
}

// R5.1: the ways in which JWT verifiers were broken, and the claims.
func TestJWTIsStrict(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef"
	now := signedAt.Unix()
	good := func() claims { return claims{"iat": now, "iss": "b", "aud": []string{"x", "us"}} }
	sign := func(change func(claims)) string {
		c := good()
		change(c)
		return token(t, jose.HS256, []byte(key), c, nil)
	}
	valid := sign(func(claims) {})
	parts := strings.Split(valid, ".")
	for name, c := range map[string]struct {
		header string
		want   error
	}{
		"good":              {"Bearer " + valid, nil},
		"lower case":        {"bearer " + valid, nil},
		"alg none":          {"Bearer " + b64(claims{"alg": "none"}) + "." + b64(good()) + ".", verify.ErrMalformed},
		"alg None":          {"Bearer " + b64(claims{"alg": "None"}) + "." + b64(good()) + ".x", verify.ErrMalformed},
		"another alg":       {"Bearer " + token(t, jose.HS384, []byte(key+key), good(), nil), verify.ErrMalformed},
		"no signature":      {"Bearer " + parts[0] + "." + parts[1] + ".", verify.ErrMismatch},
		"two parts":         {"Bearer " + parts[0] + "." + parts[1], verify.ErrMalformed},
		"changed claims":    {"Bearer " + parts[0] + "." + b64(claims{"iat": now, "iss": "b", "aud": "us", "admin": true}) + "." + parts[2], verify.ErrMismatch},
		"unknown crit":      {"Bearer " + token(t, jose.HS256, []byte(key), good(), map[jose.HeaderKey]any{"crit": []string{"x"}, "x": true}), verify.ErrMismatch},
		"another key":       {"Bearer " + token(t, jose.HS256, []byte(strings.Repeat("y", 32)), good(), nil), verify.ErrMismatch},
		"no scheme":         {valid, verify.ErrMalformed},
		"nothing":           {"", verify.ErrUnsigned},
		"long":              {"Bearer " + strings.Repeat("a", 1<<20), verify.ErrMalformed},
		"another audience":  {"Bearer " + sign(func(c claims) { c["aud"] = "them" }), verify.ErrMismatch},
		"no audience":       {"Bearer " + sign(func(c claims) { delete(c, "aud") }), verify.ErrMismatch},
		"another issuer":    {"Bearer " + sign(func(c claims) { c["iss"] = "c" }), verify.ErrMismatch},
		"issuer object":     {"Bearer " + sign(func(c claims) { c["iss"] = claims{"b": "b"} }), verify.ErrMismatch},
		"no time":           {"Bearer " + sign(func(c claims) { delete(c, "iat") }), verify.ErrMalformed},
		"time as text":      {"Bearer " + sign(func(c claims) { c["iat"] = "now" }), verify.ErrMalformed},
		"negative time":     {"Bearer " + sign(func(c claims) { c["iat"] = -1 }), verify.ErrMalformed},
		"enormous time":     {"Bearer " + sign(func(c claims) { c["iat"] = 1e300 }), verify.ErrMalformed},
		"old":               {"Bearer " + sign(func(c claims) { c["iat"] = now - 301 }), verify.ErrStale},
		"expired":           {"Bearer " + sign(func(c claims) { c["exp"] = now - 60 }), verify.ErrStale},
		"just expired":      {"Bearer " + sign(func(c claims) { c["exp"] = now - 59 }), nil},
		"not yet":           {"Bearer " + sign(func(c claims) { c["nbf"] = now + 61 }), verify.ErrFuture},
		"issued in a while": {"Bearer " + sign(func(c claims) { c["iat"] = now + 61 }), verify.ErrFuture},
	} {
		r := post("{}", "Authorization", c.header)
		r.Config = map[string]string{"audience": "us"}
		if err := compile(t, jwtScheme()).Verify(r, secrets(key), signedAt); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := post("{}", "Authorization", "Bearer "+valid)
	if err := compile(t, jwtScheme()).Verify(r, secrets(key), signedAt); !errors.Is(err, verify.ErrNoSecret) {
		t.Errorf("without an audience of ours: %v", err)
	}
}

// R5.1: a public key is known to all and must never pass for a shared secret.
func TestJWTAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	v := jwtScheme()
	v.Algorithm, v.Claims = "HS256 ES256", nil
	s := compile(t, v)
	c := claims{"iat": signedAt.Unix()}
	forged := post("{}", "Authorization", "Bearer "+token(t, jose.HS256, []byte(public), c, nil))
	if err := s.Verify(forged, secrets(public), signedAt); err == nil {
		t.Error("a token signed with the public key as a secret verifies")
	}
	// Nor a key that the token brings along.
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	embedded := post("{}", "Authorization", "Bearer "+token(t, jose.ES256, own, c, map[jose.HeaderKey]any{"jku": "https://evil.test", "jwk": jose.JSONWebKey{Key: own.Public()}}))
	if err := s.Verify(embedded, secrets(public), signedAt); !errors.Is(err, verify.ErrMismatch) {
		t.Errorf("a token with its own key: %v", err)
	}
	right := post("{}", "Authorization", "Bearer "+token(t, jose.ES256, private, c, nil))
	if err := s.Verify(right, secrets(public), signedAt); err != nil {
		t.Error(err)
	}
}

// A JWT says which key it needs, and the source is asked for that one.
func TestJWTAsksForItsKey(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v := jwtScheme()
	v.Algorithm, v.Claims, v.KeyEncoding = "ES256", nil, "jwk"
	v.Keys = &catalog.KeySource{URL: "https://keys.example.com/{kid}", Format: "jwk"}
	s := compile(t, v)
	r := post("{}", "Authorization", "Bearer "+token(t, jose.ES256, jose.JSONWebKey{Key: private, KeyID: "a/../b"}, claims{"iat": signedAt.Unix()}, nil))
	source := &recorder{keys: []verify.Key{{ID: "a/../b", Public: private.Public()}}}
	given := verify.Given{Secrets: secrets("an-api-secret"), Now: signedAt, Keys: source}
	if err := s.VerifyWith(t.Context(), r, given); err != nil || len(source.needs) != 1 {
		t.Errorf("%v after %d questions", err, len(source.needs))
	}
	if n := source.needs[0]; n.KeyID != "a/../b" || n.URL != "https://keys.example.com/a%2F..%2Fb" {
		t.Errorf("asked for %+v", n)
	}
	given.Now = signedAt.Add(time.Hour)
	if err := s.VerifyWith(t.Context(), r, given); !errors.Is(err, verify.ErrStale) {
		t.Errorf("an hour later: %v", err)
	}
}

// The whole body as a token, signed and verified.
func TestJWTAsBody(t *testing.T) {
	t.Parallel()
	v := catalog.Verification{Scheme: "jwt", Header: catalog.OneOrMore{"body"}, TimestampHeader: "jwt:exp", Algorithm: "HS256", KeyEncoding: "utf8"}
	s := compile(t, v)
	r := post(`{"data":"x"}`)
	if err := s.Sign(r, integration.NewSecret("short"), signedAt); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(r, secrets("short"), signedAt); err != nil || strings.Count(string(r.Body), ".") != 2 {
		t.Errorf("%s: %v", r.Body, err)
	}
	if err := s.Verify(r, secrets("short"), signedAt.Add(time.Hour)); !errors.Is(err, verify.ErrStale) {
		t.Errorf("an hour later: %v", err)
	}
	if err := s.Verify(post(""), secrets("short"), signedAt); !errors.Is(err, verify.ErrUnsigned) {
		t.Errorf("no body: %v", err)
	}
}
