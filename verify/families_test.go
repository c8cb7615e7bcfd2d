package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// What testdata/families.yaml holds; with hmac.yaml and the handshakes of
// package handshake these are the 217 vectors of the collection.
var (
	familySchemes = map[string]int{
		"hash_concat": 3, "ed25519": 3, "ecdsa": 1, "rsa": 7, "jwt": 9, "shared_token": 14, "basic_auth": 3, "mtls": 1, "http_message_signatures": 1,
	}
	familyValid   = map[string]int{"hash_concat": 4, "ed25519": 3, "ecdsa": 1, "rsa": 8, "jwt": 15, "shared_token": 13, "basic_auth": 3}
	familyInvalid = map[string]int{"jwt": 7}
)

const (
	allVectors       = 217
	handshakeVectors = 18 // in package handshake
)

func otherSchemes(t testing.TB) []entry {
	t.Helper()
	data, err := os.ReadFile("testdata/families.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Schemes []entry `yaml:"schemes"`
	}
	if err := yaml.UnmarshalWithOptions(data, &file, yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	return file.Schemes
}

// credential is what the operator would have configured: a secret or the
// provider's public key.
func (v vector) credential() string {
	if v.PublicKey != "" {
		return v.PublicKey
	}
	return v.Secret
}

// clockOf is the vector's time, or that of its signature.
func (v vector) clockOf(t testing.TB, s *Scheme) time.Time {
	t.Helper()
	if v.Now != 0 || s.prover != nil || s.clock.absent() {
		return time.Unix(v.Now, 0)
	}
	w := &work{}
	if err := s.read(v.request(), w); err != nil {
		t.Fatal(err)
	}
	at, err := s.clock.parse(w.groups[0].timestamp)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// R5.1, R5.2: every vector of every other family, valid and invalid.
func TestFamilyVectors(t *testing.T) {
	t.Parallel()
	schemes, valid, invalid, total := map[string]int{}, map[string]int{}, map[string]int{}, 0
	for _, e := range otherSchemes(t) {
		family := e.Verify.Scheme
		schemes[family]++
		s, err := Compile(e.Verify)
		if err != nil {
			t.Errorf("%s: %v", e.name(), err)
			continue
		}
		for _, v := range e.Vectors {
			total++
			name, now := e.name()+", "+v.Name, v.clockOf(t, s)
			err := s.Verify(v.request(), secrets(v.credential()), now)
			if !v.Valid {
				invalid[family]++
				if !errors.Is(err, ErrMismatch) && !errors.Is(err, ErrStale) && !errors.Is(err, ErrFuture) {
					t.Errorf("%s: it must be refused for what it is, got %v", name, err)
				}
				continue
			}
			valid[family]++
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			mustRefuseOthers(t, e, s, v, now)
		}
	}
	for what, pair := range map[string][2]map[string]int{
		"schemes": {schemes, familySchemes}, "valid": {valid, familyValid}, "invalid": {invalid, familyInvalid},
	} {
		if !maps.Equal(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
		}
	}
	if n := total + hmacVectors + handshakeVectors; n != allVectors {
		t.Errorf("%d vectors, want %d", n, allVectors)
	}
}

// otherCredential is one of the same kind that is not the same.
func otherCredential(t *testing.T, e entry, credential string) string {
	t.Helper()
	switch {
	case !strings.HasPrefix(credential, "-----BEGIN") && e.Verify.Scheme != "ecdsa" && e.Verify.Scheme != "ed25519":
		return "x" + credential
	case e.Verify.Scheme == "ed25519":
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if e.Verify.KeyEncoding == "hex_public_key" {
			return pemOf(t, public)
		}
		return base64.StdEncoding.EncodeToString(public)
	case e.Verify.Scheme == "ecdsa" || strings.HasPrefix(e.Verify.Algorithm, "ES"):
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return pemOf(t, k.Public())
	}
	return pemOf(t, rsaKey(t).Public())
}

func pemOf(t testing.TB, k crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func privatePEM(t testing.TB, k crypto.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// mustRefuseOthers changes a valid vector in ways that must not pass.
func mustRefuseOthers(t *testing.T, e entry, s *Scheme, v vector, now time.Time) {
	t.Helper()
	name, right := e.name()+", "+v.Name, v.credential()
	other := otherCredential(t, e, right)
	if err := s.Verify(v.request(), secrets("", other, right), now); err != nil {
		t.Errorf("%s: as the last of three secrets: %v", name, err)
	}
	err := s.Verify(v.request(), secrets(other), now)
	if !errors.Is(err, ErrMismatch) {
		t.Errorf("%s: with another key: %v", name, err)
	}
	if err != nil && strings.Contains(err.Error(), other) {
		t.Errorf("%s: the error tells the secret: %v", name, err)
	}
	wantNone := ErrNoSecret
	if s.keys != nil {
		wantNone = ErrNoKey
	}
	if err := s.Verify(v.request(), secrets("", ""), now); !errors.Is(err, wantNone) && !errors.Is(err, ErrMalformed) {
		t.Errorf("%s: with empty secrets: %v", name, err)
	}
	bare := v.request()
	bare.Header, bare.Body, bare.URL = http.Header{"Content-Type": bare.Header["Content-Type"]}, nil, "https://example.com/"
	if err := s.Verify(bare, secrets(right), now); !errors.Is(err, ErrUnsigned) && !errors.Is(err, ErrMalformed) {
		t.Errorf("%s: without anything: %v", name, err)
	}
	if bindsBody(e.Verify) && len(v.Body) > 0 {
		changed := v.request()
		changed.SetBody(append([]byte(v.Body), ' '))
		if err := s.Verify(changed, secrets(right), now); err == nil {
			t.Errorf("%s: a changed body verifies", name)
		}
	}
	if s.tolerance > 0 && s.prover == nil {
		if err := s.Verify(v.request(), secrets(right), v.at(t, s).Add(s.tolerance+time.Second)); !errors.Is(err, ErrStale) {
			t.Errorf("%s: after the window: %v", name, err)
		}
		if err := s.Verify(v.request(), secrets(right), v.at(t, s).Add(-s.tolerance-time.Second)); !errors.Is(err, ErrFuture) {
			t.Errorf("%s: before the window: %v", name, err)
		}
	}
}

func (v vector) at(t *testing.T, s *Scheme) time.Time {
	t.Helper()
	v.Now = 0
	return v.clockOf(t, s)
}

func bindsBody(v catalog.Verification) bool {
	if strings.Contains(v.SignedContent, "body") {
		return true
	}
	for _, values := range v.Claims {
		if slices.ContainsFunc(values, func(s string) bool { return strings.Contains(s, "(body)") }) {
			return true
		}
	}
	return false
}

// keyPair is a private key to sign with and what is configured to verify it.
func keyPair(t *testing.T, v catalog.Verification) (private, public string) {
	t.Helper()
	var k crypto.Signer
	var err error
	switch {
	case v.Scheme == "ed25519" || v.Scheme == "http_message_signatures":
		_, k, err = ed25519.GenerateKey(rand.Reader)
	case v.Scheme == "ecdsa" || strings.HasPrefix(v.Algorithm, "ES"):
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case v.Scheme == "rsa" || strings.HasPrefix(v.Algorithm, "RS"):
		k = rsaKey(t)
	case v.Scheme == "basic_auth":
		return "user:password", "user:password"
	default:
		return "a-shared-secret", "a-shared-secret"
	}
	if err != nil {
		t.Fatal(err)
	}
	return privatePEM(t, k), pemOf(t, k.Public())
}

// R5.1: what Sign writes, Verify takes, for every family that can be signed in a
// request; and nobody else's key takes it.
func TestSignEveryFamily(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for _, e := range otherSchemes(t) {
		s := compile(t, e.Verify)
		r := &Request{Method: http.MethodPost, URL: "https://example.com/hooks?a=1&b=2", Header: http.Header{}, Body: []byte(`{"id":"evt_1"}`)}
		r.Config = map[string]string{"webhook_id": "w", "audience": "a", "service_account": "s@example.com", "key_id": "k1"}
		switch e.Provider {
		case "aws_sns":
			r.Body = []byte(`{"Type":"Notification","MessageId":"1","TopicArn":"t","Message":"m","SignatureVersion":"1"}`)
			if e.Variant == "version_2" {
				r.Body = []byte(strings.Replace(string(r.Body), `n":"1"`, `n":"2"`, 1))
			}
		case "microsoft_graph":
			r.Body = []byte(`{"value":[{"id":"1"},{"id":"2"}]}`)
		case "travis_ci":
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Body = []byte("payload=%7B%7D")
		case "vonage":
			if e.Variant != "" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Body = []byte("msisdn=1&text=a%26b")
			}
		case "hubspot":
			r.Header.Set("X-HubSpot-Signature-Version", e.Variant)
		}
		for _, h := range []string{"PAYPAL-TRANSMISSION-ID", "webhook-id", "Kick-Event-Message-Id"} {
			r.Header.Set(h, "id_1")
		}
		r.Header.Set("PAYPAL-AUTH-ALGO", "SHA256withRSA")
		private, public := keyPair(t, e.Verify)
		err := s.Sign(r, integration.NewSecret(private), now)
		if e.Verify.Scheme == "mtls" {
			if !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s: %v", e.name(), err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", e.name(), err)
			continue
		}
		if err := s.Verify(r, secrets(public), now); err != nil {
			t.Errorf("%s: signed, then %v", e.name(), err)
		}
		_, another := keyPair(t, e.Verify)
		if another == public {
			another += "x"
		}
		if err := s.Verify(r, secrets(another), now); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: signed, then another key: %v", e.name(), err)
		}
	}
}
