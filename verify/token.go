package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
)

// sameSecret compares in a time that depends on neither.
func sameSecret(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// anySecret compares with every secret, also after one was the same.
func anySecret(got string, secrets []integration.Secret) bool {
	same := false
	for _, s := range secrets {
		same = sameSecret(got, s.Reveal()) || same
	}
	return same
}

// maxToken bounds what is compared.
const maxToken = 8 << 10

// token is shared_token: the secret itself stands in the request.
type token struct {
	sources []source
	where   string
	prefix  string
}

func (s *Scheme) compileToken(v catalog.Verification) (err error) {
	t := &token{where: s.where}
	if t.sources, err = compileSources(v.Header); err != nil {
		return err
	}
	switch {
	case v.KeyEncoding != "" && v.KeyEncoding != "utf8":
		return fmt.Errorf("key_encoding: %q is not utf8", v.KeyEncoding)
	case v.ToleranceS > 0 || v.TimestampHeader != "":
		return errors.New("timestamp_header: a token vouches for no time")
	case v.SignedContent != "":
		return errors.New("signed_content: a token signs nothing")
	}
	if v.Parse != nil {
		t.prefix = v.Parse.Prefix
	}
	s.prover = t
	return nil
}

func (t *token) verify(_ context.Context, r *Request, given Given) error {
	secrets, err := usable(given.Secrets)
	if err != nil {
		return err
	}
	values, err := t.values(r)
	if err != nil {
		return err
	}
	for i, v := range values {
		if len(v) > maxToken {
			return fmt.Errorf("%w: %s is %d bytes long", ErrMalformed, t.where, len(v))
		}
		bare, ok := cutPrefixFold(v, t.prefix)
		if !ok {
			return fmt.Errorf("%w: %s does not begin with %q", ErrMalformed, t.where, t.prefix)
		}
		if !anySecret(bare, secrets) {
			return fmt.Errorf("%w: value %d of %d in %s is none of the %d secrets", ErrMismatch, i+1, len(values), t.where, len(secrets))
		}
	}
	return nil
}

// cutPrefixFold takes the name of an authorization scheme in any case (RFC 9110, 11.1).
func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// values are the tokens of the request: one, or one of each item, all of which
// must be right.
func (t *token) values(r *Request) ([]string, error) {
	array, inside, each := t.sources[0].path.Each()
	if !each {
		for _, src := range t.sources {
			if v, ok := src.path.Value(r); ok && v != "" {
				return []string{v}, nil
			}
		}
		return nil, fmt.Errorf("%w: no %s", ErrUnsigned, t.where)
	}
	if !r.ValidJSON() {
		return nil, fmt.Errorf("%w: the body is no JSON", ErrMalformed)
	}
	var values []string
	items := gjson.GetBytes(r.Body, array)
	for i, item := range items.Array() {
		v := item.Get(inside)
		if !items.IsArray() || v.Type != gjson.String || v.Str == "" {
			return nil, fmt.Errorf("%w: item %d carries no %s", ErrUnsigned, i+1, inside)
		}
		values = append(values, v.Str)
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%w: no items in %s", ErrUnsigned, array)
	}
	return values, nil
}

func (t *token) sign(r *Request, secret integration.Secret, _ time.Time) error {
	array, inside, each := t.sources[0].path.Each()
	if !each {
		return put(r, t.sources[0].path, t.prefix+secret.Reveal())
	}
	body := r.Body
	for i := range gjson.GetBytes(r.Body, array).Array() {
		var err error
		if body, err = sjson.SetBytes(body, array+"."+strconv.Itoa(i)+"."+inside, secret.Reveal()); err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	r.SetBody(body)
	return nil
}

// basic is basic_auth: a secret is user:password.
type basic struct{}

func (s *Scheme) compileBasic(v catalog.Verification) error {
	if len(v.Header) != 1 || !strings.EqualFold(v.Header[0], "Authorization") {
		return fmt.Errorf("header: %s is not Authorization", strings.Join(v.Header, ", "))
	}
	s.prover = basic{}
	return nil
}

func (basic) verify(_ context.Context, r *Request, given Given) error {
	secrets, err := usable(given.Secrets)
	if err != nil {
		return err
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return fmt.Errorf("%w: no Authorization", ErrUnsigned)
	}
	if len(header) > maxToken {
		return fmt.Errorf("%w: Authorization is %d bytes long", ErrMalformed, len(header))
	}
	user, password, ok := (&http.Request{Header: r.Header}).BasicAuth()
	if !ok {
		return fmt.Errorf("%w: Authorization is not of the form Basic base64(user:password)", ErrMalformed)
	}
	if !anySecret(user+":"+password, secrets) {
		return fmt.Errorf("%w: user and password are none of the %d secrets, each of which is user:password", ErrMismatch, len(secrets))
	}
	return nil
}

func (basic) sign(r *Request, secret integration.Secret, _ time.Time) error {
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(secret.Reveal())))
	return nil
}

// mtls is a client certificate. A secret is what it must be: a certificate (PEM)
// that is itself sent or that signed the one that is, or the SHA-256 of one in hex.
type mtls struct{}

func (s *Scheme) compileMTLS(v catalog.Verification) error {
	if v.Keys != nil {
		return errors.New("keys: a client certificate is compared with the secrets; nothing is fetched")
	}
	s.prover = mtls{}
	return nil
}

func (m mtls) verify(_ context.Context, _ *Request, given Given) error {
	secrets, err := usable(given.Secrets)
	if err != nil {
		return err
	}
	c := given.Certificate
	if c == nil {
		return fmt.Errorf("%w: the connection came without a client certificate, or the forwarder that ends TLS did not pass it on", ErrUnsigned)
	}
	if given.Now.Before(c.NotBefore) || given.Now.After(c.NotAfter) {
		return fmt.Errorf("%w: the client certificate is valid from %s to %s", ErrStale, c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
	}
	sum := sha256.Sum256(c.Raw)
	roots := x509.NewCertPool()
	var unusable error
	for i, s := range secrets {
		text := strings.TrimSpace(s.Reveal())
		if pin, err := hex.DecodeString(strings.ReplaceAll(text, ":", "")); err == nil && len(pin) == sha256.Size {
			if subtle.ConstantTimeCompare(pin, sum[:]) == 1 {
				return nil
			}
			continue
		}
		keys, err := parsePEM([]byte(text))
		if err != nil || len(keys[len(keys)-1].Chain) == 0 {
			unusable = errors.Join(unusable, fmt.Errorf("secret %d of %d is neither a certificate nor the SHA-256 of one", i+1, len(secrets)))
			continue
		}
		for _, root := range keys[len(keys)-1].Chain {
			if bytes.Equal(root.Raw, c.Raw) {
				return nil
			}
			roots.AddCert(root)
		}
	}
	_, err = c.Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: given.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return errors.Join(fmt.Errorf("%w: the client certificate is neither pinned nor signed by one that is", ErrMismatch), unusable)
	}
	return nil
}

func (mtls) sign(*Request, integration.Secret, time.Time) error {
	return fmt.Errorf("%w: a client certificate belongs to the connection and can't be put into a request", ErrUnsupported)
}

// ForwardedCertificate reads a client certificate out of the header in which a
// forwarder that ends TLS passes it on: PEM with URL escapes (nginx, HAProxy),
// Cert="…" of X-Forwarded-Client-Cert (Envoy), or :base64: of Client-Cert (RFC
// 9440). Only a header from a forwarder that is trusted may be given here.
func ForwardedCertificate(header string) (*x509.Certificate, error) {
	if len(header) > maxKeyText {
		return nil, errors.New("the header of the client certificate is too long")
	}
	text := strings.TrimSpace(header)
	if inner, ok := strings.CutPrefix(text, ":"); ok {
		der, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(inner, ":"))
		if err != nil {
			return nil, errors.New("the header of the client certificate is no byte sequence of RFC 9440")
		}
		return x509.ParseCertificate(der)
	}
	if _, after, ok := strings.Cut(text, `Cert="`); ok {
		text, _, _ = strings.Cut(after, `"`)
	}
	if unescaped, err := url.PathUnescape(text); err == nil {
		text = unescaped
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the header holds no client certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// pathValue is the value at a path that may be the zero path.
func pathValue(p extract.Path, r *Request) string {
	if p.IsZero() {
		return ""
	}
	v, _ := p.Value(r)
	return v
}
