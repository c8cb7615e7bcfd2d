package oauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// Assertions live minutes: they are used at once, and a stolen one soon is not
// worth anything. Backdating helps clocks that differ a little.
const (
	assertionLife = 5 * time.Minute
	backdate      = 10 * time.Second
	unknownLife   = 10 * time.Minute // of own tokens where the profile does not say; GitHub's apps have ten minutes
)

// errKey does not show what was wrong with which bytes: it is about a key.
var errKey = errors.New("the key that signs can't be read; it must be a private key in PEM (PKCS #8, PKCS #1 or SEC 1), without a passphrase")

// Sign makes the token of a client that signs its own (kind jwt). It ends after
// the longest life the profile allows, at most an hour; after ten minutes where
// the profile does not say.
func (m *Method) Sign(a Asker, own Own) (Token, error) {
	if m.Grant() != SelfSigned {
		return Token{}, fmt.Errorf("auth.kind: %s does not sign its own tokens", m.Grant())
	}
	life := unknownLife
	if s := m.auth.JWT.Seconds; s > 0 {
		life = min(time.Hour, time.Duration(s)*time.Second)
	}
	signed, err := m.sign(a, own, *m.auth.JWT, life-backdate)
	if err != nil {
		return Token{}, err
	}
	return Token{Access: integration.NewSecret(signed), Expires: a.Now.Add(life - backdate)}, nil
}

// assertion is the grant of RFC 7523, section 2.1.
func (m *Method) assertion(a Asker, own Own) (string, error) {
	facts := catalog.JWT{}
	if m.auth.JWT != nil {
		facts = *m.auth.JWT
	}
	if facts.Audience == "" {
		facts.Audience = m.oauth.TokenURL
	}
	life := assertionLife
	if s := facts.Seconds; s > 0 {
		life = min(life, time.Duration(s)*time.Second)
	}
	return m.sign(a, own, facts, life-backdate)
}

func (m *Method) sign(a Asker, own Own, facts catalog.JWT, life time.Duration) (string, error) {
	claims := map[string]any{
		"iat": jwt.NewNumericDate(a.Now.Add(-backdate)), "exp": jwt.NewNumericDate(a.Now.Add(life)), "jti": uuid.NewString(),
		"iss": a.Client.ID,
	}
	put := func(name, template string) error {
		value, err := m.fill(template, a.Client, a.Values)
		if err != nil {
			return fmt.Errorf("auth.jwt.%s: %w", name, err)
		}
		claims[name] = value
		return nil
	}
	if facts.Issuer != "" {
		if err := put("iss", facts.Issuer); err != nil {
			return "", err
		}
	}
	if facts.Audience != "" {
		if err := put("aud", facts.Audience); err != nil {
			return "", err
		}
	}
	if own.Subject != "" {
		claims["sub"] = own.Subject
	}
	if scopes := m.Scopes(own.Scopes); len(scopes) > 0 && m.Grant() == JWTBearer {
		claims["scope"] = strings.Join(scopes, m.separator())
	}
	for _, name := range slices.Sorted(maps.Keys(facts.Claims)) {
		if err := put(name, facts.Claims[name]); err != nil {
			return "", err
		}
	}
	return seal(facts.Algorithm, a.Client, claims)
}

// clientAssertion says who the client is with a signature (RFC 7523, section
// 2.2). Its audience is the token address.
func (m *Method) clientAssertion(a Asker, at *url.URL) (string, error) {
	if a.Client.ID == "" {
		return "", errNoClient
	}
	audience := *at
	audience.RawQuery = ""
	algorithm := ""
	if m.auth.JWT != nil {
		algorithm = m.auth.JWT.Algorithm
	}
	return seal(algorithm, a.Client, map[string]any{
		"iss": a.Client.ID, "sub": a.Client.ID, "aud": audience.String(), "jti": uuid.NewString(),
		"iat": jwt.NewNumericDate(a.Now.Add(-backdate)), "exp": jwt.NewNumericDate(a.Now.Add(assertionLife)),
	})
}

// seal signs claims; an empty algorithm is the one that fits the key.
func seal(algorithm string, c Client, claims map[string]any) (string, error) {
	if c.Key.IsZero() {
		return "", errors.New("a signature is needed and there is no key; name the private key in the plan's secrets")
	}
	var key any = []byte(c.Key.Reveal())
	if !strings.HasPrefix(algorithm, "HS") {
		private, err := parseKey(c.Key)
		if err != nil {
			return "", err
		}
		key = private.key
		if algorithm == "" {
			algorithm = private.algorithm
		}
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	if c.KeyID != "" {
		options = options.WithHeader("kid", c.KeyID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: key}, options)
	if err != nil {
		return "", fmt.Errorf("the key does not fit the algorithm %s", algorithm)
	}
	signed, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("the key does not fit the algorithm %s", algorithm)
	}
	return signed, nil
}

type privateKey struct {
	key       any
	algorithm string // to use when the profile names none
}

func parseKey(secret integration.Secret) (privateKey, error) {
	block, _ := pem.Decode([]byte(secret.Reveal()))
	if block == nil {
		return privateKey{}, errKey
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return privateKey{key, "RS256"}, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return privateKey{key, curve(key.Params().BitSize)}, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return privateKey{}, errKey
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return privateKey{key, "RS256"}, nil
	case *ecdsa.PrivateKey:
		return privateKey{key, curve(key.Params().BitSize)}, nil
	case ed25519.PrivateKey:
		return privateKey{key, "EdDSA"}, nil
	}
	return privateKey{}, errKey
}

func curve(bits int) string {
	switch bits {
	case 384:
		return "ES384"
	case 521:
		return "ES512"
	}
	return "ES256"
}
