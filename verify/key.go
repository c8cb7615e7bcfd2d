package verify

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // providers chose it; HMAC-SHA1 is not broken
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/integration"
)

// maxKeys bounds the cache of keyed hashes; beyond it the cache starts anew.
const maxKeys = 4096

// key is one secret made ready: hashes that have already absorbed it.
type key struct {
	pool   sync.Pool // of hash.Hash
	raw    []byte    // for {secret}
	public Key       // for schemes with public keys
	err    error     // why the secret can't be used
}

// keyring remembers the keys of a scheme, so that a secret is decoded and
// absorbed once and not for every webhook.
type keyring struct {
	mu   sync.RWMutex
	keys map[integration.Secret]*key
}

func (s *Scheme) key(secret integration.Secret) *key {
	s.ring.mu.RLock()
	k := s.ring.keys[secret]
	s.ring.mu.RUnlock()
	if k != nil {
		return k
	}
	k = s.makeKey(secret)
	s.ring.mu.Lock()
	defer s.ring.mu.Unlock()
	if s.ring.keys == nil || len(s.ring.keys) >= maxKeys {
		s.ring.keys = map[integration.Secret]*key{}
	}
	s.ring.keys[secret] = k
	return k
}

func (s *Scheme) makeKey(secret integration.Secret) *key {
	if s.public != nil {
		public, err := s.public.parse(secret.Reveal())
		return &key{public: public, err: err}
	}
	raw, err := s.keyOf(secret.Reveal())
	if err == nil && len(raw) == 0 {
		err = errors.New("it decodes to nothing")
	}
	if err != nil {
		return &key{err: err}
	}
	if s.family == "hash_concat" {
		k := &key{raw: raw}
		k.pool.New = func() any { return s.newHash() }
		return k
	}
	k := &key{}
	k.pool.New = func() any { return hmac.New(s.newHash, raw) }
	return k
}

// usableKeys fills w.keys and says what is wrong with the secrets left out, by
// their place in the list and never by their value.
func (s *Scheme) usableKeys(w *work, secrets []integration.Secret) (unusable error) {
	for i, secret := range secrets {
		if secret.IsZero() {
			continue
		}
		k := s.key(secret)
		if k.err != nil {
			unusable = errors.Join(unusable, fmt.Errorf("secret %d of %d can't be used: %w", i+1, len(secrets), k.err))
			continue
		}
		w.keys = append(w.keys, k)
	}
	return unusable
}

// SecretKey returns how the key is made of a shared secret in one of the
// encodings of key_encoding. What it returns never quotes the secret in an error.
func SecretKey(encoding string) (func(secret string) ([]byte, error), error) {
	return compileKey(encoding)
}

// compileKey returns how the key is made of a secret. What it returns never
// quotes the secret in an error.
func compileKey(encoding string) (func(string) ([]byte, error), error) {
	if prefix, ok := strings.CutPrefix(encoding, "base64_after_prefix:"); ok && prefix != "" {
		return func(secret string) ([]byte, error) { return decodeBase64Key(strings.TrimPrefix(secret, prefix)) }, nil
	}
	switch encoding {
	case "utf8":
		return func(secret string) ([]byte, error) { return []byte(secret), nil }, nil
	case "hex":
		return func(secret string) ([]byte, error) {
			raw, err := hex.DecodeString(secret)
			if err != nil {
				return nil, errors.New("it is not hex")
			}
			return raw, nil
		}, nil
	case "base64":
		return decodeBase64Key, nil
	case "sha1_raw":
		return func(secret string) ([]byte, error) { sum := sha1.Sum([]byte(secret)); return sum[:], nil }, nil //nolint:gosec // Braintree's
	case "sha256_raw":
		return func(secret string) ([]byte, error) { sum := sha256.Sum256([]byte(secret)); return sum[:], nil }, nil
	}
	return nil, fmt.Errorf("key_encoding: %q is not one of utf8, hex, base64, base64_after_prefix:P, sha1_raw, sha256_raw", encoding)
}

// decodeBase64Key takes standard base64, padded or not.
func decodeBase64Key(secret string) ([]byte, error) {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(secret, "="))
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	return raw, nil
}
