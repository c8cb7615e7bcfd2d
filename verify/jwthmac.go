package verify

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"

	"github.com/go-jose/go-jose/v4"
)

// sharedKey signs and verifies HS256, HS384 and HS512 with a key of any length.
// RFC 7518, 3.2 asks for one as long as the digest, and go-jose keeps to it; the
// secrets that providers hand out are often shorter, and theirs to choose.
type sharedKey []byte

var (
	_ jose.OpaqueVerifier = sharedKey(nil)
	_ jose.OpaqueSigner   = sharedKey(nil)
)

func (k sharedKey) mac(payload []byte, alg jose.SignatureAlgorithm) ([]byte, error) {
	var newHash func() hash.Hash
	switch alg {
	case jose.HS256:
		newHash = sha256.New
	case jose.HS384:
		newHash = sha512.New384
	case jose.HS512:
		newHash = sha512.New
	default:
		return nil, fmt.Errorf("%s is not for a shared secret", alg)
	}
	mac := hmac.New(newHash, k)
	mac.Write(payload)
	return mac.Sum(nil), nil
}

// VerifyPayload implements jose.OpaqueVerifier.
func (k sharedKey) VerifyPayload(payload, signature []byte, alg jose.SignatureAlgorithm) error {
	sum, err := k.mac(payload, alg)
	if err == nil && !hmac.Equal(sum, signature) {
		err = errors.New("another secret")
	}
	return err
}

// Public implements jose.OpaqueSigner: a shared secret has no public part.
func (k sharedKey) Public() *jose.JSONWebKey { return nil }

// Algs implements jose.OpaqueSigner.
func (k sharedKey) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
}

// SignPayload implements jose.OpaqueSigner.
func (k sharedKey) SignPayload(payload []byte, alg jose.SignatureAlgorithm) ([]byte, error) {
	return k.mac(payload, alg)
}
