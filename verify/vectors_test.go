package verify

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// entry is one scheme of testdata/hmac.yaml with its vectors.
type entry struct {
	Provider string               `yaml:"provider"`
	Variant  string               `yaml:"variant"`
	Verify   catalog.Verification `yaml:"verify"`
	Vectors  []vector             `yaml:"vectors"`
}

type vector struct {
	Name    string            `yaml:"name"`
	Origin  string            `yaml:"origin"`
	Source  string            `yaml:"source"`
	Method  string            `yaml:"method"`
	URL     string            `yaml:"url"`
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`
	Secret  string            `yaml:"secret"`
	KeyID   string            `yaml:"key_id"`
	Config  map[string]string `yaml:"config"`
	// PublicKey of the provider, in place of Secret.
	PublicKey string `yaml:"public_key"`
	Now       int64  `yaml:"now"`
	Valid     bool   `yaml:"valid"`
}

func (v vector) request() *Request {
	r := &Request{Method: v.Method, URL: v.URL, Header: http.Header{}, Body: []byte(v.Body)}
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	r.Config = v.Config
	if v.KeyID != "" {
		r.Config = map[string]string{"key_id": v.KeyID}
	}
	return r
}

// now is the vector's time, or the time it was signed.
func (v vector) now(t testing.TB, s *Scheme) time.Time {
	t.Helper()
	if v.Now != 0 || s.clock.absent() {
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

// What the collection holds. A vector that disappears from the file, or a
// family that is added without being counted, fails here.
const (
	hmacSchemes = 115
	hmacVectors = 145
	hmacInvalid = 4
)

var otherFamilies = map[string]int{
	"basic_auth": 3, "ecdsa": 1, "ed25519": 3, "ed25519 handshake": 1, "hash_concat": 4, "hmac": hmacVectors, "hmac handshake": 13,
	"jwt": 22, "jwt handshake": 1, "rsa": 8, "shared_token": 13, "shared_token handshake": 3,
}

func entries(t testing.TB) []entry {
	t.Helper()
	data, err := os.ReadFile("testdata/hmac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Counted map[string]int `yaml:"counted"`
		Schemes []entry        `yaml:"schemes"`
	}
	if err := yaml.UnmarshalWithOptions(data, &file); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(file.Counted, otherFamilies) {
		t.Fatalf("counted: %v, want %v", file.Counted, otherFamilies)
	}
	vectors, invalid := 0, 0
	for _, e := range file.Schemes {
		vectors += len(e.Vectors)
		for _, v := range e.Vectors {
			if !v.Valid {
				invalid++
			}
		}
	}
	if len(file.Schemes) != hmacSchemes || vectors != hmacVectors || invalid != hmacInvalid {
		t.Fatalf("%d schemes, %d vectors, %d of them invalid; want %d, %d, %d", len(file.Schemes), vectors, invalid, hmacSchemes, hmacVectors, hmacInvalid)
	}
	return file.Schemes
}

func (e entry) name() string { return strings.TrimSuffix(e.Provider+"/"+e.Variant, "/") }

func compile(t testing.TB, v catalog.Verification) *Scheme {
	t.Helper()
	s, err := Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func secrets(list ...string) []integration.Secret {
	var all []integration.Secret
	for _, s := range list {
		all = append(all, integration.NewSecret(s))
	}
	return all
}

// R5.1, R5.2: every published and computed vector of every HMAC scheme.
func TestVectors(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, e := range entries(t) {
		s, err := Compile(e.Verify)
		if err != nil {
			t.Errorf("%s: %v", e.name(), err)
			continue
		}
		for _, v := range e.Vectors {
			checked++
			now := v.now(t, s)
			err := s.Verify(v.request(), secrets(v.Secret), now)
			if v.Valid != (err == nil) {
				t.Errorf("%s, %s: valid is %v, got %v", e.name(), v.Name, v.Valid, err)
			}
			if !v.Valid {
				if !errors.Is(err, ErrMismatch) {
					t.Errorf("%s, %s: got %v", e.name(), v.Name, err)
				}
				continue
			}
			mustRefuse(t, e, s, v, now)
		}
	}
	if checked != hmacVectors {
		t.Errorf("checked %d vectors of %d", checked, hmacVectors)
	}
}

// mustRefuse changes a valid vector in ways that must not pass.
func mustRefuse(t *testing.T, e entry, s *Scheme, v vector, now time.Time) {
	t.Helper()
	name := e.name() + ", " + v.Name
	if err := s.Verify(v.request(), secrets("", v.Secret), now); err != nil {
		t.Errorf("%s: beside an empty secret: %v", name, err)
	}
	if err := s.Verify(v.request(), secrets("", ""), now); !errors.Is(err, ErrNoSecret) {
		t.Errorf("%s: with empty secrets: %v", name, err)
	}
	other := other(v.Secret)
	if err := s.Verify(v.request(), secrets(other), now); err == nil {
		t.Errorf("%s: another secret verifies", name)
	} else if strings.Contains(err.Error(), other) {
		t.Errorf("%s: the error tells the secret: %v", name, err)
	}
	if err := s.Verify(v.request(), secrets(other, v.Secret), now); err != nil {
		t.Errorf("%s: as the second secret: %v", name, err)
	}
	// Without anything of what carries the signature.
	bare := v.request()
	bare.Header, bare.Body = http.Header{"Content-Type": bare.Header["Content-Type"]}, nil
	if err := s.Verify(bare, secrets(v.Secret), now); !errors.Is(err, ErrUnsigned) && !errors.Is(err, ErrMalformed) {
		t.Errorf("%s: without a signature: %v", name, err)
	}
	if strings.Contains(e.Verify.SignedContent, "body}") && len(v.Body) > 0 {
		changed := v.request()
		changed.SetBody(append([]byte(v.Body), ' '))
		if err := s.Verify(changed, secrets(v.Secret), now); err == nil {
			t.Errorf("%s: a changed body verifies", name)
		}
	}
	if s.tolerance > 0 {
		at := signedAt(t, s, v)
		if err := s.Verify(v.request(), secrets(v.Secret), at.Add(s.tolerance+time.Second)); !errors.Is(err, ErrStale) {
			t.Errorf("%s: after the window: %v", name, err)
		}
		if err := s.Verify(v.request(), secrets(v.Secret), at.Add(-s.tolerance-time.Second)); !errors.Is(err, ErrFuture) {
			t.Errorf("%s: before the window: %v", name, err)
		}
		if err := s.Verify(v.request(), secrets(v.Secret), at.Add(s.tolerance)); err != nil {
			t.Errorf("%s: at the edge of the window: %v", name, err)
		}
	}
}

func signedAt(t *testing.T, s *Scheme, v vector) time.Time {
	t.Helper()
	v.Now = 0
	return v.now(t, s)
}

// other is a secret of the same form that is not the same. The last characters
// of base64 may carry no bits, so the first one is changed.
func other(secret string) string {
	prefix := ""
	if rest, ok := strings.CutPrefix(secret, "whsec_"); ok {
		prefix, secret = "whsec_", rest
	}
	first := "A"
	if secret[0] == 'A' {
		first = "B"
	}
	return prefix + first + secret[1:]
}

// R5.1: what Sign writes, Verify takes, for every scheme; and where a vector was
// signed at its own time, Sign makes the very same signature.
func TestSignAgreesWithVectors(t *testing.T) {
	t.Parallel()
	same := 0
	for _, e := range entries(t) {
		s := compile(t, e.Verify)
		for _, v := range e.Vectors {
			if !v.Valid {
				continue
			}
			name := e.name() + ", " + v.Name
			at := signedAt(t, s, v)
			r := v.request()
			for _, h := range e.Verify.Header {
				r.Header.Del(strings.TrimSuffix(h, "*"))
			}
			if e.Provider == "hygraph" {
				r.Config = map[string]string{"env": "master"}
			}
			if err := s.Sign(r, integration.NewSecret(v.Secret), at); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if err := s.Verify(r, secrets(v.Secret), at); err != nil {
				t.Errorf("%s: signed, then %v", name, err)
			}
			if err := s.Verify(r, secrets(other(v.Secret)), at); !errors.Is(err, ErrMismatch) {
				t.Errorf("%s: signed, then another secret: %v", name, err)
			}
			if want := v.Headers[e.Verify.Header[0]]; want != "" && strings.EqualFold(r.Header.Get(e.Verify.Header[0]), want) {
				same++
			}
		}
	}
	// The others are signed in another place, several at once, or for a time
	// that the vector writes in another way.
	if same < 100 {
		t.Errorf("only %d signatures are the same as in their vector", same)
	}
}

// A scheme that gives no format is signed in the form its parse rules read.
func TestSignWithoutFormat(t *testing.T) {
	t.Parallel()
	for _, e := range entries(t) {
		if e.Provider == "hygraph" {
			continue // its header holds a third value
		}
		e.Verify.Format = ""
		s := compile(t, e.Verify)
		for _, v := range e.Vectors {
			if !v.Valid {
				continue
			}
			at, r := signedAt(t, s, v), v.request()
			for _, h := range e.Verify.Header {
				r.Header.Del(strings.TrimSuffix(h, "*"))
			}
			if err := s.Sign(r, integration.NewSecret(v.Secret), at); err != nil {
				t.Errorf("%s, %s: %v", e.name(), v.Name, err)
			} else if err := s.Verify(r, secrets(v.Secret), at); err != nil {
				t.Errorf("%s, %s: signed, then %v", e.name(), v.Name, err)
			}
		}
	}
}

// Many tenants with secrets of their own must not make the cache grow for ever.
func TestKeyCacheIsBounded(t *testing.T) {
	t.Parallel()
	s := compile(t, entries(t)[0].Verify)
	for i := range maxKeys + 10 {
		s.key(integration.NewSecret(strings.Repeat("x", i+1)))
	}
	if n := len(s.ring.keys); n > maxKeys {
		t.Errorf("%d keys are kept", n)
	}
}
