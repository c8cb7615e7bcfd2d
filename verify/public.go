package verify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // Amazon SNS signs version 1 with it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
)

// maxSignature bounds the text of one signature. RSA with 8192 bits has 1368
// characters of base64.
const maxSignature = 2048

// public is how a signature of a private key over signed_content is checked.
type public struct {
	algorithm   string
	family      string // ed25519, ecdsa, rsa
	newHash     func() hash.Hash
	hash        crypto.Hash
	encoding    string
	keyEncoding string
	raw         bool // ecdsa: r and s side by side instead of ASN.1
	pss         bool
	curveBits   int
}

// publicAlgorithms by family. Those of ecdsa whose name ends in -raw are r and s
// side by side (IEEE P1363); the others are ASN.1.
var publicAlgorithms = map[string]public{
	"ed25519":               {family: "ed25519"},
	"ecdsa-p256-sha256":     {family: "ecdsa", hash: crypto.SHA256, newHash: sha256.New, curveBits: 256},
	"ecdsa-p256-sha256-raw": {family: "ecdsa", hash: crypto.SHA256, newHash: sha256.New, curveBits: 256, raw: true},
	"ecdsa-p384-sha384":     {family: "ecdsa", hash: crypto.SHA384, newHash: sha512.New384, curveBits: 384},
	"ecdsa-p521-sha512":     {family: "ecdsa", hash: crypto.SHA512, newHash: sha512.New, curveBits: 521},
	"rsa-sha1":              {family: "rsa", hash: crypto.SHA1, newHash: sha1.New},
	"rsa-sha256":            {family: "rsa", hash: crypto.SHA256, newHash: sha256.New},
	"rsa-sha512":            {family: "rsa", hash: crypto.SHA512, newHash: sha512.New},
	"rsa-pss-sha256":        {family: "rsa", hash: crypto.SHA256, newHash: sha256.New, pss: true},
	"rsa-pss-sha512":        {family: "rsa", hash: crypto.SHA512, newHash: sha512.New, pss: true},
}

// compilePublic is ed25519, ecdsa and rsa.
func (s *Scheme) compilePublic(v catalog.Verification) error {
	p, ok := publicAlgorithms[v.Algorithm]
	if !ok || p.family != v.Scheme {
		var known []string
		for name, a := range publicAlgorithms {
			if a.family == v.Scheme {
				known = append(known, name)
			}
		}
		slices.Sort(known)
		return fmt.Errorf("algorithm: %q is not one of %s", v.Algorithm, strings.Join(known, ", "))
	}
	if _, err := textLen(v.Encoding, 1); err != nil {
		return err
	}
	if err := checkKeyEncoding(v.KeyEncoding); err != nil {
		return err
	}
	p.algorithm, p.encoding, p.keyEncoding = v.Algorithm, v.Encoding, v.KeyEncoding
	s.public = &p
	if err := s.compileSigned(v); err != nil {
		return err
	}
	if s.each {
		return errors.New("header: a public key signs the request and not its items")
	}
	return nil
}

// parse reads a public key that was configured and refuses one of another family.
func (p *public) parse(text string) (Key, error) {
	k, err := ParseKey(p.keyEncoding, text)
	if err != nil {
		return Key{}, err
	}
	return k, p.fits(k.Public)
}

func (p *public) fits(k crypto.PublicKey) error {
	ok := false
	switch k := k.(type) {
	case ed25519.PublicKey:
		ok = p.family == "ed25519" && len(k) == ed25519.PublicKeySize
	case *ecdsa.PublicKey:
		ok = p.family == "ecdsa" && k.Curve.Params().BitSize == p.curveBits
	case *rsa.PublicKey:
		ok = p.family == "rsa" && k.N.BitLen() >= minRSABits && k.N.BitLen() <= maxRSABits
	}
	if !ok {
		return fmt.Errorf("it is a %T that does not fit %s", k, p.algorithm)
	}
	return nil
}

// Less than 1024 bits of RSA can be broken by anybody; more than 8192 only cost time.
const minRSABits, maxRSABits = 1024, 8192

// decode returns the signature in bytes, nil when text can't be one.
func (p *public) decode(text string) []byte {
	if len(text) > maxSignature {
		return nil
	}
	var sig []byte
	var err error
	switch p.encoding {
	case "hex":
		sig, err = hex.DecodeString(text)
	case "base64": // some senders leave the padding out
		sig, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	default:
		sig, err = base64.RawURLEncoding.DecodeString(text)
	}
	if err != nil || len(sig) == 0 || p.family == "ed25519" && len(sig) != ed25519.SignatureSize {
		return nil
	}
	return sig
}

// message is what the content is written into: a digest, or the bytes themselves
// for ed25519, which hashes by itself.
type message struct {
	hash hash.Hash // nil: bytes
	all  []byte
}

func (m *message) Write(b []byte) (int, error) {
	if m.hash != nil {
		return m.hash.Write(b)
	}
	m.all = append(m.all, b...)
	return len(b), nil
}

func (m *message) sum() []byte {
	if m.hash != nil {
		return m.hash.Sum(nil)
	}
	return m.all
}

func (p *public) message() *message {
	if p.newHash == nil {
		return &message{}
	}
	return &message{hash: p.newHash()}
}

// check reports whether sig is k's signature of the digest (or message).
func (p *public) check(k crypto.PublicKey, digest, sig []byte) bool {
	if p.fits(k) != nil {
		return false
	}
	switch k := k.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, digest, sig)
	case *ecdsa.PublicKey:
		if p.raw {
			asn1, err := toASN1(sig, p.curveBits)
			return err == nil && ecdsa.VerifyASN1(k, digest, asn1)
		}
		return ecdsa.VerifyASN1(k, digest, sig)
	case *rsa.PublicKey:
		if p.pss {
			return rsa.VerifyPSS(k, p.hash, digest, sig, nil) == nil
		}
		return rsa.VerifyPKCS1v15(k, p.hash, digest, sig) == nil
	}
	return false
}

// verifyPublic wants one signature that one of the keys made.
func (s *Scheme) verifyPublic(ctx context.Context, r *Request, given Given) error {
	w := s.pool.Get().(*work)
	defer s.release(w)
	if err := s.read(r, w); err != nil {
		return err
	}
	// The time is looked at before keys are fetched, and decides after them.
	for i := range w.groups {
		if _, err := s.clock.parse(w.groups[i].timestamp); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	keys, err := s.publicKeys(ctx, r, given, "")
	if err != nil {
		return err
	}
	worst := fmt.Errorf("%w: %d signatures against %d public keys, a body of %d bytes", ErrMismatch, len(w.sigs), len(keys), len(r.Body))
	for i := range w.groups {
		g := &w.groups[i]
		m := s.public.message()
		if err := s.writeContent(m, r, w, g, nil); err != nil {
			return err
		}
		if !s.anyMatch(keys, m.sum(), w.sigs[g.from:g.to]) {
			continue
		}
		at, _ := s.clock.parse(g.timestamp)
		if worst = s.inWindow(at, given.Now); worst == nil {
			return nil
		}
	}
	return worst
}

func (s *Scheme) anyMatch(keys []Key, digest []byte, sigs [][]byte) bool {
	for _, k := range keys {
		for _, sig := range sigs {
			if s.public.check(k.Public, digest, sig) {
				return true
			}
		}
	}
	return false
}

// signPublic is the signature of the private key in bytes.
func (s *Scheme) signPublic(r *Request, w *work, g *group) ([]byte, error) {
	m := s.public.message()
	if err := s.writeContent(m, r, w, g, nil); err != nil {
		return nil, err
	}
	return s.public.sign(w.private, m.sum())
}

func (p *public) sign(private crypto.Signer, digest []byte) ([]byte, error) {
	var opts crypto.SignerOpts = p.hash
	if p.pss {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: p.hash}
	}
	sig, err := private.Sign(rand.Reader, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("signing with the private key: %w", err)
	}
	if p.raw {
		return fromASN1(sig, p.curveBits)
	}
	return sig, nil
}
