package verify

import (
	"context"
	"crypto/md5"  //nolint:gosec // Vonage's choice
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what several providers use
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
)

// ErrUnsupported is what Compile answers to a family of schemes that is known
// but not built yet.
var ErrUnsupported = errors.New("signature scheme is not supported in this version")

// families compile what is particular to a family of schemes. Those of nil are
// known and not built: a request that is not signed at all and only says what to
// fetch (api_callback) can't be verified without a call.
var families = map[string]func(*Scheme, catalog.Verification) error{
	"hmac":                    (*Scheme).compileHMAC,
	"hash_concat":             (*Scheme).compileHash,
	"ed25519":                 (*Scheme).compilePublic,
	"ecdsa":                   (*Scheme).compilePublic,
	"rsa":                     (*Scheme).compilePublic,
	"jwt":                     (*Scheme).compileJWT,
	"shared_token":            (*Scheme).compileToken,
	"basic_auth":              (*Scheme).compileBasic,
	"mtls":                    (*Scheme).compileMTLS,
	"http_message_signatures": (*Scheme).compileMessage,
	"api_callback":            nil,
}

// prover checks and makes what a family has in place of a signature over
// signed_content.
type prover interface {
	verify(ctx context.Context, r *Request, given Given) error
	sign(r *Request, secret integration.Secret, now time.Time) error
}

// Scheme is a compiled signature scheme. It is safe for concurrent use and
// remembers what it made of the secrets it has seen, so keep one for as long as
// its profile lives.
type Scheme struct {
	spec      catalog.Verification // as compiled, for Explain
	family    string
	prover    prover        // nil: a signature over signed_content
	public    *public       // nil: a digest with a shared secret
	require   []requirement // or the scheme does not apply
	keys      *keySource    // nil: the secrets are the keys
	sources   []source
	where     string // the sources in words, for errors
	each      bool   // every item of the body is signed
	layout    layout
	form      string // the format as written, for errors
	clock     clock
	ownTime   bool // each header value carries its own time
	newHash   func() hash.Hash
	size      int // bytes of a digest
	encoding  string
	textLen   int // characters of an encoded digest
	keyOf     func(string) ([]byte, error)
	content   []part
	format    []piece
	tolerance time.Duration

	ring keyring
	pool sync.Pool
}

// Compile makes a Scheme of what a profile says. The error begins with the name
// of the field that can't be right; errors.Is(err, ErrUnsupported) tells a family
// that comes later from a mistake.
func Compile(v catalog.Verification) (*Scheme, error) {
	compile, known := families[v.Scheme]
	switch {
	case !known:
		return nil, fmt.Errorf("scheme: %q is not one of %s", v.Scheme, strings.Join(slices.Sorted(maps.Keys(families)), ", "))
	case compile == nil:
		return nil, fmt.Errorf("scheme: %q: %w: nothing in such a request can be verified", v.Scheme, ErrUnsupported)
	case len(v.Claims) > 0 && v.Scheme != "jwt":
		return nil, fmt.Errorf("claims: a %s scheme has none", v.Scheme)
	case v.ToleranceS < 0:
		return nil, fmt.Errorf("tolerance_s: %d is less than nothing", v.ToleranceS)
	}
	s := &Scheme{
		spec: v, family: v.Scheme, where: strings.Join(v.Header, " or "), form: v.Format, encoding: v.Encoding, tolerance: v.Tolerance(),
	}
	s.pool.New = func() any { return &work{} }
	var err error
	if s.require, err = compileRequirements(v.Require); err != nil {
		return nil, err
	}
	if s.keys, err = compileKeySource(v); err != nil {
		return nil, err
	}
	if err := compile(s, v); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Scheme) compileHMAC(v catalog.Verification) error {
	return s.compileDigest(v, "hmac-")
}

// compileHash is a plain digest of a text that contains the secret.
func (s *Scheme) compileHash(v catalog.Verification) error {
	if v.KeyEncoding != "utf8" {
		return fmt.Errorf("key_encoding: %q is not utf8", v.KeyEncoding)
	}
	if !strings.Contains(v.SignedContent, "{secret}") {
		return fmt.Errorf("signed_content: %q must contain {secret}, or anybody could compute it", v.SignedContent)
	}
	return s.compileDigest(v, "")
}

func (s *Scheme) compileDigest(v catalog.Verification, prefix string) (err error) {
	switch v.Algorithm {
	case prefix + "sha256":
		s.newHash, s.size = sha256.New, sha256.Size
	case prefix + "sha1":
		s.newHash, s.size = sha1.New, sha1.Size
	case prefix + "sha512":
		s.newHash, s.size = sha512.New, sha512.Size
	case prefix + "md5":
		s.newHash, s.size = md5.New, md5.Size
	default:
		return fmt.Errorf("algorithm: %q is not one of %[2]ssha256, %[2]ssha1, %[2]ssha512, %[2]smd5", v.Algorithm, prefix)
	}
	if s.textLen, err = textLen(v.Encoding, s.size); err != nil {
		return err
	}
	if s.keyOf, err = compileKey(v.KeyEncoding); err != nil {
		return err
	}
	return s.compileSigned(v)
}

// compileSigned is common to all that sign signed_content.
func (s *Scheme) compileSigned(v catalog.Verification) error {
	for _, step := range []func(catalog.Verification) error{s.compileWhere, s.compileContent, s.compileFormat, s.consistent} {
		if err := step(v); err != nil {
			return err
		}
	}
	return nil
}

// requirement is a value without which a scheme does not apply.
type requirement struct {
	path   extract.Path
	values []string
}

func compileRequirements(all map[string]catalog.OneOrMore) ([]requirement, error) {
	var list []requirement
	for _, expr := range slices.Sorted(maps.Keys(all)) {
		path, err := extract.Parse(expr)
		if err != nil {
			return nil, fmt.Errorf("require: %w", err)
		}
		if len(all[expr]) == 0 {
			return nil, fmt.Errorf("require: %s: it names no value", expr)
		}
		list = append(list, requirement{path, all[expr]})
	}
	return list, nil
}

// applies tells whether the request is signed in this way at all.
func (s *Scheme) applies(r *Request) error {
	for _, q := range s.require {
		if value, _ := q.path.Value(r); !slices.Contains(q.values, value) {
			return fmt.Errorf("%w in this way: %s is %.40q, want %s", ErrUnsigned, q.path, value, strings.Join(q.values, " or "))
		}
	}
	return nil
}

func (s *Scheme) compileWhere(v catalog.Verification) (err error) {
	if s.sources, err = compileSources(v.Header); err != nil {
		return err
	}
	s.each = isEach(s.sources[0].path)
	if s.clock, err = compileClock(v.TimestampHeader, v.TimestampUnit); err != nil {
		return err
	}
	s.ownTime = s.clock.param != ""
	s.layout, err = compileLayout(v.Parse, s.clock)
	return err
}

// consistent checks what needs the whole scheme.
func (s *Scheme) consistent(v catalog.Verification) error {
	signsTime, item := false, false
	for _, p := range s.content {
		signsTime = signsTime || p.signsTime
		item = item || p.name == "adyen_item"
	}
	switch {
	case s.clock.absent() && v.ToleranceS > 0:
		return errors.New("tolerance_s: without timestamp_header there is no time to compare")
	case s.clock.absent() && slices.ContainsFunc(s.content, func(p part) bool { return p.kind == partTimestamp }):
		return errors.New("signed_content: {timestamp} needs timestamp_header")
	case v.ToleranceS > 0 && !signsTime && !s.signsPath():
		return errors.New("signed_content: the time is not part of it, so tolerance_s would protect nothing")
	case s.each != item:
		return errors.New("signed_content: {adyen_item} and a header path with [] belong together")
	case s.each && !s.clock.absent():
		return errors.New("timestamp_header: items carry no time of their own")
	}
	return nil
}

// signsPath reports whether the place of the time is itself in the content, as
// in {body}{header:BOX-DELIVERY-TIMESTAMP}.
func (s *Scheme) signsPath() bool {
	return slices.ContainsFunc(s.content, func(p part) bool {
		return p.kind == partPath && p.path.Kind() == s.clock.path.Kind() && p.path.Name() == s.clock.path.Name()
	})
}
