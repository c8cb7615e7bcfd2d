package verify

import (
	"crypto/md5"  //nolint:gosec // Vonage's choice
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what several providers use
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/catalog"
)

// ErrUnsupported is what Compile answers to a family of schemes that is known
// but not built yet.
var ErrUnsupported = errors.New("signature scheme is not supported in this version")

// later are the families that are known and not built.
var later = []string{
	"hash_concat", "ed25519", "ecdsa", "rsa", "jwt", "shared_token", "basic_auth", "mtls", "api_callback", "http_message_signatures",
}

// Scheme is a compiled signature scheme. It is safe for concurrent use and
// remembers what it made of the secrets it has seen, so keep one for as long as
// its profile lives.
type Scheme struct {
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
	switch {
	case slices.Contains(later, v.Scheme):
		return nil, fmt.Errorf("scheme: %q: %w; hmac is", v.Scheme, ErrUnsupported)
	case v.Scheme != "hmac":
		return nil, fmt.Errorf("scheme: %q is not one of hmac, %s", v.Scheme, strings.Join(later, ", "))
	case len(v.Claims) > 0:
		return nil, errors.New("claims: a hmac scheme has none")
	}
	s := &Scheme{where: strings.Join(v.Header, " or "), form: v.Format, encoding: v.Encoding, tolerance: v.Tolerance()}
	s.pool.New = func() any { return &work{} }
	for _, step := range []func(catalog.Verification) error{
		s.compileAlgorithm, s.compileWhere, s.compileContent, s.compileFormat,
	} {
		if err := step(v); err != nil {
			return nil, err
		}
	}
	if err := s.consistent(v); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Scheme) compileAlgorithm(v catalog.Verification) (err error) {
	switch v.Algorithm {
	case "hmac-sha256":
		s.newHash, s.size = sha256.New, sha256.Size
	case "hmac-sha1":
		s.newHash, s.size = sha1.New, sha1.Size
	case "hmac-sha512":
		s.newHash, s.size = sha512.New, sha512.Size
	case "hmac-md5":
		s.newHash, s.size = md5.New, md5.Size
	default:
		return fmt.Errorf("algorithm: %q is not one of hmac-sha256, hmac-sha1, hmac-sha512, hmac-md5", v.Algorithm)
	}
	if s.textLen, err = textLen(v.Encoding, s.size); err != nil {
		return err
	}
	s.keyOf, err = compileKey(v.KeyEncoding)
	return err
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
	case v.ToleranceS < 0:
		return fmt.Errorf("tolerance_s: %d is less than nothing", v.ToleranceS)
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
