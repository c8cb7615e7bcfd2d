package verify

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
)

// What may be wrong with a webhook, or with us. Verify wraps one of them with
// detail for the operator; the sender should learn nothing but "no".
var (
	// ErrUnsigned: there is no signature where the scheme says it stands.
	ErrUnsigned = errors.New("webhook is not signed")
	// ErrMalformed: signature, time or signed content can't be read.
	ErrMalformed = errors.New("webhook signature is malformed")
	// ErrMismatch: no signature belongs to any of the secrets. Another sender,
	// another secret, or bytes that were changed on the way.
	ErrMismatch = errors.New("webhook signature does not match")
	// ErrStale: rightly signed, but longer ago than the replay window.
	ErrStale = errors.New("webhook is too old")
	// ErrFuture: rightly signed, but for a time further ahead than the replay window.
	ErrFuture = errors.New("webhook is from the future")
	// ErrNoSecret: no usable secret was given. This is our fault, not the sender's.
	ErrNoSecret = errors.New("no usable webhook secret")
	// ErrNoKey: the provider's public key can't be had at the moment. This is
	// not the sender's fault: it should come again.
	ErrNoKey = errors.New("no public key to verify the webhook with")
)

// Given is what a request is checked against.
type Given struct {
	Secrets []integration.Secret // any one will do; empty ones are passed over
	Now     time.Time
	// Keys finds public keys for schemes that name a source of keys; nil finds
	// none. A usable public key among the secrets is taken in place of it.
	Keys Keys
	// Certificate is the client certificate of the connection, as TLS or a
	// trusted forwarder gave it; nil without one. Only mtls asks for it.
	Certificate *x509.Certificate
	// Roots that a certificate must lead to where the scheme asks for a chain;
	// nil are the system's.
	Roots *x509.CertPool
}

// Request is the inbound request. It is extract's, so that what reads the event
// id afterwards need not check the body's JSON again. URL must be the full public
// URL that the provider called, whatever proxies stand between.
type Request = extract.Request

// Bounds on what a header may make us do. Real headers carry one to three
// signatures; DocuSign allows a hundred keys.
const (
	maxCandidates = 128
	maxGroups     = 8
	maxDigest     = 64 // bytes of SHA-512
)

// work is the scratch space of one verification.
type work struct {
	groups  []group
	digests [][maxDigest]byte
	sigs    [][]byte // in place of digests, for public keys
	keys    []*key
	keyID   string // the key id that pairs must have; empty for any
	seen    int    // signatures found, readable or not
	buf     []byte
	sum     [maxDigest]byte
	private crypto.Signer // while signing for a public key
}

// group is the signatures that share one time.
type group struct {
	timestamp string       // as sent; empty without one
	raw       string       // the header text it was read from
	item      gjson.Result // the notification item, for {adyen_item}
	from, to  int          // its digests
	signing   bool         // we are making it: parameters come from Config
}

// Verify reports whether the request was signed with one of the secrets within
// the replay window around now. It returns nil, or one of the errors above with
// detail. It is safe for concurrent use as long as each call has its own Request.
//
// Empty secrets are passed over: they verify nothing. The time is checked last,
// so ErrStale and ErrFuture mean that the signature itself is right.
//
// A scheme that names a source of public keys needs VerifyWith.
func (s *Scheme) Verify(r *Request, secrets []integration.Secret, now time.Time) error {
	return s.VerifyWith(context.Background(), r, Given{Secrets: secrets, Now: now})
}

// VerifyWith is Verify with all that any scheme may need. The context bounds the
// search for keys, and nothing else waits.
func (s *Scheme) VerifyWith(ctx context.Context, r *Request, given Given) error {
	if err := s.applies(r); err != nil {
		return err
	}
	switch {
	case s.prover != nil:
		return s.prover.verify(ctx, r, given)
	case s.public != nil:
		return s.verifyPublic(ctx, r, given)
	}
	return s.verifyDigest(r, given.Secrets, given.Now)
}

// verifyDigest is for schemes with a shared secret.
func (s *Scheme) verifyDigest(r *Request, secrets []integration.Secret, now time.Time) error {
	w := s.pool.Get().(*work)
	defer s.release(w)
	w.keyID = r.Config["key_id"]
	unusable := s.usableKeys(w, secrets)
	if len(w.keys) == 0 {
		if unusable == nil {
			return fmt.Errorf("%w: %d given, none with a value", ErrNoSecret, len(secrets))
		}
		return fmt.Errorf("%w: %w", ErrNoSecret, unusable)
	}
	var err error
	if s.each {
		err = s.verifyEach(r, w)
	} else {
		err = s.verifyAny(r, w, now)
	}
	if unusable != nil && errors.Is(err, ErrMismatch) {
		return fmt.Errorf("%w; besides, %w", err, unusable)
	}
	return err
}

// verifyAny wants one signature that matches.
func (s *Scheme) verifyAny(r *Request, w *work, now time.Time) error {
	if err := s.read(r, w); err != nil {
		return err
	}
	var worst error
	for i := range w.groups {
		err := s.check(r, w, &w.groups[i], now)
		if err == nil {
			return nil
		}
		if worst == nil || errors.Is(err, ErrStale) || errors.Is(err, ErrFuture) {
			worst = err
		}
	}
	return worst
}

func (s *Scheme) check(r *Request, w *work, g *group, now time.Time) error {
	at, err := s.clock.parse(g.timestamp)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	matched, err := s.matches(r, w, g)
	if err != nil {
		return err
	}
	if !matched {
		return fmt.Errorf("%w: %d signatures against %d secrets, a body of %d bytes", ErrMismatch, g.to-g.from, len(w.keys), len(r.Body))
	}
	return s.inWindow(at, now)
}

// inWindow compares a time that is signed with ours.
func (s *Scheme) inWindow(at, now time.Time) error {
	if s.tolerance == 0 {
		return nil
	}
	switch age := now.Sub(at); {
	case age > s.tolerance:
		return fmt.Errorf("%w: signed %s ago, the window is %s; a replay, or our clock is wrong", ErrStale, age.Round(time.Second), s.tolerance)
	case age < -s.tolerance:
		return fmt.Errorf("%w: signed for a time %s ahead, the window is %s; our clock may be wrong", ErrFuture, (-age).Round(time.Second), s.tolerance)
	}
	return nil
}

// matches compares every signature of the group with every key.
func (s *Scheme) matches(r *Request, w *work, g *group) (bool, error) {
	matched := false
	for _, k := range w.keys {
		mac := k.pool.Get().(hash.Hash)
		mac.Reset()
		err := s.writeContent(mac, r, w, g, k)
		if err == nil {
			sum := mac.Sum(w.sum[:0])
			for i := g.from; i < g.to; i++ {
				if hmac.Equal(sum, w.digests[i][:len(sum)]) {
					matched = true
				}
			}
		}
		k.pool.Put(mac)
		if err != nil {
			return false, err
		}
	}
	return matched, nil
}

// verifyEach wants a signature that matches in every item of the body.
func (s *Scheme) verifyEach(r *Request, w *work) error {
	array, inside, _ := s.sources[0].path.Each()
	if !r.ValidJSON() {
		return fmt.Errorf("%w: the body is no JSON", ErrMalformed)
	}
	items := gjson.GetBytes(r.Body, array)
	if !items.IsArray() || len(items.Array()) == 0 {
		return fmt.Errorf("%w: no items in %s", ErrUnsigned, array)
	}
	for n, item := range items.Array() {
		sig := item.Get(inside)
		if sig.Type != gjson.String || sig.Str == "" {
			return fmt.Errorf("%w: item %d carries no %s", ErrUnsigned, n+1, inside)
		}
		w.groups, w.digests, w.seen = w.groups[:0], w.digests[:0], 0
		if err := s.parseValue(w, sig.Str); err != nil {
			return fmt.Errorf("item %d: %w", n+1, err)
		}
		if len(w.digests) == 0 {
			return fmt.Errorf("item %d: %w", n+1, s.noCandidate(w))
		}
		g := &w.groups[0]
		g.item = item
		matched, err := s.matches(r, w, g)
		if err != nil {
			return fmt.Errorf("item %d: %w", n+1, err)
		}
		if !matched {
			return fmt.Errorf("%w: item %d of %d, against %d secrets", ErrMismatch, n+1, len(items.Array()), len(w.keys))
		}
	}
	return nil
}

// release clears what points into the request, and keeps the space.
func (s *Scheme) release(w *work) {
	clear(w.groups)
	clear(w.keys)
	clear(w.sigs)
	w.sigs, w.private = w.sigs[:0], nil
	w.groups, w.digests, w.keys, w.seen, w.keyID = w.groups[:0], w.digests[:0], w.keys[:0], 0, ""
	if cap(w.buf) > 64<<10 {
		w.buf = nil
	}
	s.pool.Put(w)
}
