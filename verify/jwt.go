package verify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
)

// skew is how far a provider's clock may be off for exp, nbf and iat of a JWT
// (RFC 7519, 4.1.4: "some small leeway").
const skew = time.Minute

// maxJWT bounds a JWT in a header; one that is the whole body is as long as a
// body may be.
const maxJWT = 16 << 10

// jwtAlgorithms that a scheme may pin. "none" is none of them.
var jwtAlgorithms = []jose.SignatureAlgorithm{
	jose.HS256, jose.HS384, jose.HS512, jose.RS256, jose.RS384, jose.RS512,
	jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// jwt is a signed token beside, or instead of, the body.
type jwt struct {
	scheme     *Scheme
	sources    []source
	body       bool // the whole body is the token
	prefix     string
	algorithms []jose.SignatureAlgorithm
	claims     []claim
	wants      []string // time claims that must be there
	keyOf      func(string) ([]byte, error)
}

// claim that must have one of the values. A conditional one must be there
// exactly when the request has a body.
type claim struct {
	name        string
	conditional bool
	values      []claimValue
}

type claimValue struct {
	text string        // as it is, or the name of a config value
	make canonicaliser // nil: text
	from string        // "config": text names it
}

// claimMakers are the placeholders of claims.
var claimMakers = map[string]canonicaliser{
	"{sha256_hex(body)}":    appendBodyHashHex,
	"{sha256_base64(body)}": appendBodyHashBase64,
	"{sha256_hex(url)}":     appendURLHash,
	"{atlassian_qsh}":       appendQSH,
}

func (s *Scheme) compileJWT(v catalog.Verification) (err error) {
	j := &jwt{scheme: s, body: len(v.Header) == 1 && v.Header[0] == "body"}
	if !j.body {
		if j.sources, err = compileSources(v.Header); err != nil {
			return err
		}
	}
	if v.Parse != nil {
		j.prefix = v.Parse.Prefix
	}
	for name := range strings.FieldsSeq(v.Algorithm) {
		a := jose.SignatureAlgorithm(name)
		if !slices.Contains(jwtAlgorithms, a) {
			return fmt.Errorf("algorithm: %q is not one of %v", name, jwtAlgorithms)
		}
		j.algorithms = append(j.algorithms, a)
	}
	switch {
	case len(j.algorithms) == 0:
		return errors.New("algorithm: a JWT must not choose its own; name those it may have")
	case v.SignedContent != "":
		return errors.New("signed_content: a JWT signs itself; claims bind it to the request")
	}
	if err := j.compileKey(v.KeyEncoding); err != nil {
		return err
	}
	if err := j.compileTimes(v); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(v.Claims)) {
		c, err := compileClaim(name, v.Claims[name])
		if err != nil {
			return fmt.Errorf("claims: %w", err)
		}
		j.claims = append(j.claims, c)
	}
	s.prover = j
	return nil
}

func (j *jwt) compileKey(encoding string) (err error) {
	if symmetric(j.algorithms[0]) || encoding == "utf8" {
		j.keyOf, err = compileKey(encoding)
		return err
	}
	return checkKeyEncoding(encoding)
}

// compileTimes reads "jwt:iat", "jwt:exp" or "jwt:nbf..exp": the claims that must
// be there. tolerance_s is about iat.
func (j *jwt) compileTimes(v catalog.Verification) error {
	if v.TimestampHeader == "" {
		if v.ToleranceS > 0 {
			return errors.New("tolerance_s: without timestamp_header there is no time to compare")
		}
		return nil
	}
	names, ok := strings.CutPrefix(v.TimestampHeader, "jwt:")
	if !ok {
		return fmt.Errorf("timestamp_header: %q is not jwt:iat, jwt:exp or jwt:nbf..exp", v.TimestampHeader)
	}
	j.wants = strings.Split(names, "..")
	for _, name := range j.wants {
		if !slices.Contains([]string{"iat", "exp", "nbf"}, name) {
			return fmt.Errorf("timestamp_header: %q is not one of the claims iat, exp, nbf", name)
		}
	}
	if v.ToleranceS > 0 && !slices.Contains(j.wants, "iat") {
		return errors.New("tolerance_s: only jwt:iat is a time of signing")
	}
	return nil
}

func compileClaim(name string, values []string) (claim, error) {
	c := claim{}
	c.name, c.conditional = strings.CutSuffix(name, "?")
	if c.name == "" || len(values) == 0 {
		return c, fmt.Errorf("%q: it names no value", name)
	}
	for _, v := range values {
		config, isConfig := strings.CutPrefix(v, "{config:")
		switch {
		case isConfig && strings.HasSuffix(config, "}"):
			c.values = append(c.values, claimValue{from: "config", text: strings.TrimSuffix(config, "}")})
		case claimMakers[v] != nil:
			c.values = append(c.values, claimValue{text: v, make: claimMakers[v]})
		case strings.Contains(v, "{"):
			return c, fmt.Errorf("%s: %q is not one of %s, {config:x} or plain text", name, v, strings.Join(slices.Sorted(maps.Keys(claimMakers)), ", "))
		default:
			c.values = append(c.values, claimValue{text: v})
		}
	}
	return c, nil
}

func (v claimValue) of(r *Request) (string, error) {
	switch {
	case v.make != nil:
		text, err := v.make(nil, r, nil, nil)
		return string(text), err
	case v.from == "config":
		text, ok := r.Config[v.text]
		if !ok || text == "" {
			return "", fmt.Errorf("config %q is not set", v.text)
		}
		return text, nil
	}
	return v.text, nil
}

func symmetric(a jose.SignatureAlgorithm) bool { return strings.HasPrefix(string(a), "HS") }

// read returns the token of the request.
func (j *jwt) read(r *Request) (string, error) {
	if j.body {
		if len(r.Body) == 0 {
			return "", fmt.Errorf("%w: the body, which should be the token, is empty", ErrUnsigned)
		}
		return strings.TrimSpace(string(r.Body)), nil
	}
	seen := false
	for _, src := range j.sources {
		v := pathValue(src.path, r)
		if v == "" {
			continue
		}
		seen = true
		if len(v) > maxJWT {
			return "", fmt.Errorf("%w: a token of %d bytes in %s", ErrMalformed, len(v), j.scheme.where)
		}
		token, ok := cutPrefixFold(v, j.prefix)
		if ok || src.path.Kind() != extract.Header { // only headers name an authorization scheme
			return strings.TrimSpace(token), nil
		}
	}
	if seen {
		return "", fmt.Errorf("%w: %s does not begin with %q", ErrMalformed, j.scheme.where, j.prefix)
	}
	return "", fmt.Errorf("%w: no %s", ErrUnsigned, j.scheme.where)
}

func (j *jwt) verify(ctx context.Context, r *Request, given Given) error {
	text, err := j.read(r)
	if err != nil {
		return err
	}
	if strings.Count(text, ".") != 2 {
		return fmt.Errorf("%w: the token has %d parts, and a JWT has three", ErrMalformed, strings.Count(text, ".")+1)
	}
	token, err := jose.ParseSignedCompact(text, j.algorithms)
	if err != nil {
		var other *jose.ErrUnexpectedSignatureAlgorithm
		if errors.As(err, &other) {
			return fmt.Errorf("%w: the token is signed with %.20q, allowed is %v", ErrMalformed, other.Got, j.algorithms)
		}
		return fmt.Errorf("%w: the token can't be read", ErrMalformed)
	}
	keys, err := j.keys(ctx, r, given, token.Signatures[0].Header)
	if err != nil {
		return err
	}
	var payload []byte
	for _, k := range keys {
		if payload, err = token.Verify(k); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%w: the token was signed with none of the %d keys", ErrMismatch, len(keys))
	}
	if !gjson.ValidBytes(payload) || !gjson.ParseBytes(payload).IsObject() {
		return fmt.Errorf("%w: the token's payload is no JSON object", ErrMalformed)
	}
	claims := gjson.ParseBytes(payload)
	if err := j.bound(r, claims); err != nil {
		return err
	}
	return j.timely(claims, given.Now)
}

// keys that may have signed, as go-jose wants them. A public key is never taken
// for a shared secret, nor the other way round: that would let anybody sign who
// has read the public key.
func (j *jwt) keys(ctx context.Context, r *Request, given Given, header jose.Header) ([]any, error) {
	wantShared := symmetric(jose.SignatureAlgorithm(header.Algorithm))
	if !wantShared && j.scheme.keys != nil {
		if pinned, _ := j.configured(given.Secrets, false); len(pinned) > 0 {
			return pinned, nil
		}
		found, err := j.scheme.fetched(ctx, r, given, header.KeyID)
		if err != nil {
			return nil, err
		}
		var keys []any
		for _, k := range found {
			if sound(k.Public) == nil {
				keys = append(keys, k.Public)
			}
		}
		if len(keys) == 0 {
			return nil, fmt.Errorf("%w: none of the keys that were found is for a signature", ErrMismatch)
		}
		return keys, nil
	}
	keys, unusable := j.configured(given.Secrets, wantShared)
	if len(keys) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: none of the %d given is for %s", ErrNoSecret, len(given.Secrets), header.Algorithm), unusable)
	}
	return keys, nil
}

// configured are the secrets that are shared ones, or public keys.
func (j *jwt) configured(secrets []integration.Secret, shared bool) (keys []any, unusable error) {
	for i, secret := range secrets {
		text := secret.Reveal()
		isPublic := strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN") || strings.HasPrefix(strings.TrimSpace(text), `{"`) || j.keyOf == nil
		if secret.IsZero() || isPublic == shared {
			continue
		}
		var k any
		var err error
		if shared {
			k, err = j.shared(text)
		} else {
			k, err = j.publicKey(text)
		}
		if err != nil {
			unusable = errors.Join(unusable, fmt.Errorf("secret %d of %d can't be used: %w", i+1, len(secrets), err))
			continue
		}
		keys = append(keys, k)
	}
	return keys, unusable
}

func (j *jwt) shared(text string) (sharedKey, error) {
	raw, err := j.keyOf(text)
	if err == nil && len(raw) == 0 {
		err = errors.New("it decodes to nothing")
	}
	return raw, err
}

func (j *jwt) publicKey(text string) (crypto.PublicKey, error) {
	encoding := "pem"
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		encoding = "jwk"
	}
	k, err := ParseKey(encoding, text)
	if err != nil {
		return nil, err
	}
	return k.Public, sound(k.Public)
}

// sound refuses keys that can't be right for any signature.
func sound(k crypto.PublicKey) error {
	switch k := k.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits || k.N.BitLen() > maxRSABits {
			return fmt.Errorf("a key of RSA with %d bits", k.N.BitLen())
		}
		return nil
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return nil
	}
	return fmt.Errorf("a %T is no key for signatures", k)
}

// bound checks the claims that tie the token to this request.
func (j *jwt) bound(r *Request, claims gjson.Result) error {
	for _, c := range j.claims {
		got := claims.Get(gjson.Escape(c.name))
		if c.conditional && len(r.Body) == 0 {
			if got.Exists() {
				return fmt.Errorf("%w: the token has claim %s, and there is no body", ErrMismatch, c.name)
			}
			continue
		}
		if !got.Exists() {
			return fmt.Errorf("%w: the token has no claim %s", ErrMismatch, c.name)
		}
		same := false
		for _, v := range c.values {
			want, err := v.of(r)
			if err != nil {
				return fmt.Errorf("%w: claim %s: %w", ErrNoSecret, c.name, err)
			}
			values := []gjson.Result{got}
			if got.IsArray() {
				values = got.Array()
			}
			for _, item := range values {
				same = item.Type != gjson.JSON && sameSecret(item.String(), want) || same
			}
		}
		if !same {
			return fmt.Errorf("%w: claim %s of the token is not what the request asks for", ErrMismatch, c.name)
		}
	}
	return nil
}

// timely checks exp, nbf and iat wherever they are, and that those the scheme
// relies on are there.
func (j *jwt) timely(claims gjson.Result, now time.Time) error {
	at := map[string]time.Time{}
	for _, name := range []string{"exp", "nbf", "iat"} {
		v := claims.Get(name)
		switch {
		case !v.Exists() && slices.Contains(j.wants, name):
			return fmt.Errorf("%w: the token has no claim %s", ErrMalformed, name)
		case !v.Exists():
			continue
		case v.Type != gjson.Number || v.Num < 0 || v.Num > latest:
			return fmt.Errorf("%w: claim %s is no time", ErrMalformed, name)
		}
		at[name] = time.Unix(int64(v.Num), 0)
	}
	if exp, ok := at["exp"]; ok && !now.Before(exp.Add(skew)) {
		return fmt.Errorf("%w: the token expired %s ago", ErrStale, now.Sub(exp).Round(time.Second))
	}
	for _, name := range []string{"nbf", "iat"} {
		if t, ok := at[name]; ok && now.Add(skew).Before(t) {
			return fmt.Errorf("%w: claim %s lies %s ahead; our clock may be wrong", ErrFuture, name, t.Sub(now).Round(time.Second))
		}
	}
	if slices.Contains(j.wants, "iat") {
		return j.scheme.inWindow(at["iat"], now)
	}
	return nil
}

// sign makes a token for the request with the first algorithm that the secret
// fits.
func (j *jwt) sign(r *Request, secret integration.Secret, now time.Time) error {
	signer, err := j.signer(secret.Reveal())
	if err != nil {
		return err
	}
	payload, err := j.payload(r, now)
	if err != nil {
		return err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return fmt.Errorf("signing the token: %w", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return err
	}
	if j.body {
		r.SetBody([]byte(text))
		return nil
	}
	return put(r, j.sources[0].path, j.prefix+text)
}

func (j *jwt) signer(secret string) (jose.Signer, error) {
	var why error
	for _, a := range j.algorithms {
		var k any
		var err error
		switch {
		case symmetric(a) && !strings.HasPrefix(secret, "-----BEGIN"):
			k, err = j.shared(secret)
		case !symmetric(a):
			k, err = ParsePrivateKey("pem", secret)
		default:
			err = errors.New("a PEM key is no shared secret")
		}
		if err == nil {
			var s jose.Signer
			if s, err = jose.NewSigner(jose.SigningKey{Algorithm: a, Key: k}, (&jose.SignerOptions{}).WithType("JWT")); err == nil {
				return s, nil
			}
		}
		why = err
	}
	return nil, fmt.Errorf("%w: %w", ErrNoSecret, why)
}

// payload are the claims: of a body token the body's own, then what binds it.
func (j *jwt) payload(r *Request, now time.Time) ([]byte, error) {
	payload := []byte("{}")
	if j.body && r.ValidJSON() && gjson.ParseBytes(r.Body).IsObject() {
		payload = slices.Clone(r.Body)
	}
	times := map[string]int64{"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	names := j.wants
	if len(names) > 0 && !slices.Contains(names, "iat") {
		names = append(slices.Clone(names), "iat")
	}
	var err error
	for _, name := range names {
		if payload, err = sjson.SetBytes(payload, name, times[name]); err != nil {
			return nil, err
		}
	}
	for _, c := range j.claims {
		if c.conditional && len(r.Body) == 0 {
			continue
		}
		value, err := c.values[0].of(r)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", c.name, err)
		}
		if payload, err = sjson.SetBytes(payload, gjson.Escape(c.name), value); err != nil {
			return nil, err
		}
	}
	return payload, nil
}

func appendBodyHashBase64(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	sum := sha256.Sum256(r.Body)
	return base64.StdEncoding.AppendEncode(dst, sum[:]), nil
}

func appendURLHash(dst []byte, r *Request, _ *group, _ *Scheme) ([]byte, error) {
	sum := sha256.Sum256([]byte(r.URL))
	return hex.AppendEncode(dst, sum[:]), nil
}
