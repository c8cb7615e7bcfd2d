package verify_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

// authority signs certificates of the tests.
type authority struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

func newKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	a.cert = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, &a.key.PublicKey)
	return a
}

func (a *authority) sign(t testing.TB, c *x509.Certificate, public any) *x509.Certificate {
	t.Helper()
	c.SerialNumber = big.NewInt(1)
	c.NotBefore, c.NotAfter = signedAt.Add(-time.Hour), signedAt.Add(time.Hour)
	parent := a.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// recorder is a verify.Keys that remembers what was asked.
type recorder struct {
	needs []verify.Need
	keys  []verify.Key
	err   error
}

func (r *recorder) Keys(_ context.Context, n verify.Need) ([]verify.Key, error) {
	r.needs = append(r.needs, n)
	return r.keys, r.err
}

func chainScheme() catalog.Verification {
	return catalog.Verification{
		Scheme: "rsa", Header: catalog.OneOrMore{"Signature"}, Algorithm: "rsa-sha256", Encoding: "base64", SignedContent: "{body}", KeyEncoding: "x509_pem",
		Keys: &catalog.KeySource{
			URLPath: "header:SignatureCertChainUrl", Hosts: []string{"certs.example.com", "sns.*.example.com"}, PathPattern: `/echo\.api/.*\.pem`,
			Format: "x509_pem", Chain: true, DNSName: "echo-api.example.com",
		},
	}
}

// R5.2: a certificate that the request names is believed only from an allowed
// address, with the right name, in its time, and up to a root that we trust.
func TestCertificateChain(t *testing.T) {
	t.Parallel()
	root, stranger, key := newAuthority(t), newAuthority(t), newKey(t)
	leaf := root.sign(t, &x509.Certificate{DNSNames: []string{"echo-api.example.com"}}, &key.PublicKey)
	other := root.sign(t, &x509.Certificate{DNSNames: []string{"other.example.com"}}, &key.PublicKey)
	forged := stranger.sign(t, &x509.Certificate{DNSNames: []string{"echo-api.example.com"}}, &key.PublicKey)
	s := compile(t, chainScheme())
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := integration.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	const address = "https://certs.example.com/echo.api/cert.pem"
	for name, c := range map[string]struct {
		cert *x509.Certificate
		url  string
		now  time.Time
		want error
		asks int
	}{
		"good":            {leaf, address, signedAt, nil, 1},
		"wildcard host":   {leaf, "https://sns.eu-west-1.example.com/echo.api/c.pem", signedAt, nil, 1},
		"another name":    {other, address, signedAt, verify.ErrMismatch, 1},
		"another root":    {forged, address, signedAt, verify.ErrMismatch, 1},
		"expired":         {leaf, address, signedAt.Add(2 * time.Hour), verify.ErrMismatch, 1},
		"not yet valid":   {leaf, address, signedAt.Add(-2 * time.Hour), verify.ErrMismatch, 1},
		"another host":    {leaf, "https://certs.example.com.evil.test/echo.api/cert.pem", signedAt, verify.ErrMalformed, 0},
		"two labels":      {leaf, "https://sns.a.b.example.com/echo.api/c.pem", signedAt, verify.ErrMalformed, 0},
		"http":            {leaf, "http://certs.example.com/echo.api/cert.pem", signedAt, verify.ErrMalformed, 0},
		"another path":    {leaf, "https://certs.example.com/uploads/cert.pem", signedAt, verify.ErrMalformed, 0},
		"path goes up":    {leaf, "https://certs.example.com/echo.api/../u/cert.pem", signedAt, verify.ErrMalformed, 0},
		"another port":    {leaf, "https://certs.example.com:8443/echo.api/cert.pem", signedAt, verify.ErrMalformed, 0},
		"no address":      {leaf, "", signedAt, verify.ErrMalformed, 0},
		"a user":          {leaf, "https://certs.example.com@evil.test/echo.api/cert.pem", signedAt, verify.ErrMalformed, 0},
		"no certificate":  {nil, address, signedAt, verify.ErrMismatch, 1},
		"bare public key": {nil, address, signedAt, verify.ErrMismatch, 1},
	} {
		r := post(`{"id":"1"}`, "SignatureCertChainUrl", c.url)
		if err := s.Sign(r, private, c.now); err != nil {
			t.Fatal(err)
		}
		k := verify.Key{Public: &key.PublicKey}
		if c.cert != nil {
			k.Chain = []*x509.Certificate{c.cert}
		}
		source := &recorder{keys: []verify.Key{k}}
		err := s.VerifyWith(t.Context(), r, verify.Given{Now: c.now, Keys: source, Roots: pool(root.cert)})
		if !errors.Is(err, c.want) || len(source.needs) != c.asks {
			t.Errorf("%s: %v after %d questions", name, err, len(source.needs))
		}
	}
}

// R5.6: that keys can't be had is not the sender's fault, and is told apart.
func TestKeysCannotBeHad(t *testing.T) {
	t.Parallel()
	s := compile(t, chainScheme())
	r := post("{}", "SignatureCertChainUrl", "https://certs.example.com/echo.api/c.pem", "Signature", base64.StdEncoding.EncodeToString([]byte("x")))
	for name, keys := range map[string]verify.Keys{"nobody to ask": nil, "down": &recorder{err: errors.New("503")}} {
		err := s.VerifyWith(t.Context(), r, verify.Given{Now: signedAt, Keys: keys})
		if !errors.Is(err, verify.ErrNoKey) || errors.Is(err, verify.ErrMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.VerifyWith(t.Context(), post("{}"), verify.Given{Now: signedAt, Keys: &recorder{}}); !errors.Is(err, verify.ErrUnsigned) {
		t.Errorf("unsigned: %v", err)
	}
	r.Header.Set("SignatureCertChainUrl", "https://certs.example.com/echo.api/c.pem")
	if err := s.VerifyWith(t.Context(), r, verify.Given{Now: signedAt, Keys: verify.KeySet{}}); !errors.Is(err, verify.ErrMismatch) {
		t.Errorf("no such key: %v", err)
	}
}

// R5.1: a client certificate counts when it is pinned, or signed by one that is,
// and from the hands of a trusted forwarder in any of the three forms.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	root, stranger, key := newAuthority(t), newAuthority(t), newKey(t)
	client := func(a *authority) *x509.Certificate {
		return a.sign(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, &key.PublicKey)
	}
	ours, theirs := client(root), client(stranger)
	text := func(c *x509.Certificate) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	s := compile(t, catalog.Verification{Scheme: "mtls"})
	for name, c := range map[string]struct {
		cert   *x509.Certificate
		secret string
		now    time.Time
		want   error
	}{
		"its root":     {ours, text(root.cert), signedAt, nil},
		"itself":       {ours, text(ours), signedAt, nil},
		"another root": {theirs, text(root.cert), signedAt, verify.ErrMismatch},
		"another":      {theirs, text(ours), signedAt, verify.ErrMismatch},
		"none":         {nil, text(root.cert), signedAt, verify.ErrUnsigned},
		"expired":      {ours, text(root.cert), signedAt.Add(2 * time.Hour), verify.ErrStale},
		"no secret":    {ours, "", signedAt, verify.ErrNoSecret},
		"a bad secret": {ours, "not a certificate", signedAt, verify.ErrMismatch},
	} {
		err := s.VerifyWith(t.Context(), post("{}"), verify.Given{Secrets: secrets(c.secret), Now: c.now, Certificate: c.cert})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, header := range map[string]string{
		"nginx":    url.PathEscape(text(ours)),
		"envoy":    `Hash=abc;Cert="` + url.PathEscape(text(ours)) + `";Subject="CN=x"`,
		"rfc 9440": ":" + base64.StdEncoding.EncodeToString(ours.Raw) + ":",
	} {
		c, err := verify.ForwardedCertificate(header)
		if err != nil || !c.Equal(ours) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, header := range []string{"", "x", ":x:", ":eA==:", `Cert="x"`, strings.Repeat("x", 1<<20)} {
		if c, err := verify.ForwardedCertificate(header); err == nil {
			t.Errorf("%.20q: %v", header, c.Subject)
		}
	}
}

// Tokens in the items of a body must be right in every item.
func TestTokenInEveryItem(t *testing.T) {
	t.Parallel()
	s := compile(t, catalog.Verification{Scheme: "shared_token", Header: catalog.OneOrMore{"json:value[].clientState"}})
	for body, want := range map[string]error{
		`{"value":[{"clientState":"s"},{"clientState":"s"}]}`: nil,
		`{"value":[{"clientState":"s"},{"clientState":"t"}]}`: verify.ErrMismatch,
		`{"value":[{"clientState":"s"},{}]}`:                  verify.ErrUnsigned,
		`{"value":[{"clientState":"s"},{"clientState":1}]}`:   verify.ErrUnsigned,
		`{"value":[]}`:                     verify.ErrUnsigned,
		`{"value":{"clientState":"s"}}`:    verify.ErrUnsigned,
		`{"value":[{"clientState":"s"}]`:   verify.ErrMalformed,
		`{"value":[{"clientState":""}]}`:   verify.ErrUnsigned,
		`{"value":[{"clientState":"ss"}]}`: verify.ErrMismatch,
	} {
		if err := s.Verify(post(body), secrets("s"), signedAt); !errors.Is(err, want) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// A variant that the request does not carry is told from a wrong signature.
func TestRequire(t *testing.T) {
	t.Parallel()
	v := stripeScheme()
	v.Require = map[string]catalog.OneOrMore{"header:X-Version": {"1", "2"}}
	s := compile(t, v)
	r := post("{}", "Stripe-Signature", stripeHeader(signedAt, "{}", secret))
	if err := s.Verify(r, secrets(secret), signedAt); !errors.Is(err, verify.ErrUnsigned) {
		t.Errorf("without: %v", err)
	}
	r.Header = http.Header{"Stripe-Signature": r.Header["Stripe-Signature"], "X-Version": {"2"}}
	if err := s.Verify(r, secrets(secret), signedAt); err != nil {
		t.Errorf("with: %v", err)
	}
}
