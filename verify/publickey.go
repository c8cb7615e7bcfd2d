package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Key is one public key. The zero Key verifies nothing.
type Key struct {
	// ID by which a request names it; empty when it has none.
	ID string
	// Public is an ed25519.PublicKey, *ecdsa.PublicKey or *rsa.PublicKey.
	Public crypto.PublicKey
	// Chain is the certificate that holds the key, then those that vouch for it;
	// nil for a bare key.
	Chain []*x509.Certificate
}

// Bounds on keys that come from outside.
const (
	maxKeyText = 64 << 10 // characters of a key, a certificate chain or a set
	maxKeySet  = 64       // keys of a set that are looked at
)

// keyEncodings are those of public keys; base64_after_prefix:P besides.
var keyEncodings = []string{"hex_public_key", "base64_public_key", "spki_der_base64", "pem", "x509_pem", "jwk", "jwks"}

func checkKeyEncoding(encoding string) error {
	if prefix, ok := strings.CutPrefix(encoding, "base64_after_prefix:"); ok && prefix != "" {
		return nil
	}
	for _, known := range keyEncodings {
		if encoding == known {
			return nil
		}
	}
	return fmt.Errorf("key_encoding: %q is not one of %s, base64_after_prefix:P", encoding, strings.Join(keyEncodings, ", "))
}

// ParseKey reads one public key in one of the encodings hex_public_key and
// base64_public_key (the 32 bytes of ed25519), spki_der_base64, pem (PKIX or
// PKCS #1), x509_pem (a certificate, with those that vouch for it) or jwk. PEM is
// understood in every encoding. The error never quotes the text.
func ParseKey(encoding, text string) (Key, error) {
	keys, err := ParseKeys(encoding, []byte(text))
	switch {
	case err != nil:
		return Key{}, err
	case len(keys) != 1:
		return Key{}, fmt.Errorf("it holds %d keys where one is wanted", len(keys))
	}
	return keys[0], nil
}

// ParseKeys reads all the keys of a document, as ParseKey, and jwks besides. Keys
// of a set that are for encryption, or of a kind that signs nothing, are left out.
func ParseKeys(encoding string, data []byte) ([]Key, error) {
	if len(data) > maxKeyText {
		return nil, fmt.Errorf("it is %d bytes long, and no key is longer than %d", len(data), maxKeyText)
	}
	text := strings.TrimSpace(string(data))
	if strings.HasPrefix(text, "-----BEGIN") {
		return parsePEM([]byte(text))
	}
	if prefix, ok := strings.CutPrefix(encoding, "base64_after_prefix:"); ok {
		text, encoding = strings.TrimPrefix(text, prefix), "base64_public_key"
	}
	switch encoding {
	case "hex_public_key":
		raw, err := hex.DecodeString(text)
		if err != nil {
			return nil, errors.New("it is not hex")
		}
		return edKey(raw)
	case "base64_public_key":
		raw, err := decodeBase64Key(text)
		if err != nil {
			return nil, err
		}
		if len(raw) != ed25519.PublicKeySize {
			return spkiKey(raw)
		}
		return edKey(raw)
	case "spki_der_base64":
		raw, err := decodeBase64Key(text)
		if err != nil {
			return nil, err
		}
		return spkiKey(raw)
	case "jwk", "jwks":
		return parseJWKs(encoding, text)
	}
	return nil, errors.New("it is no PEM; it should begin with -----BEGIN")
}

func edKey(raw []byte) ([]Key, error) {
	if len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("it is %d bytes, and a public key of ed25519 has %d", len(raw), ed25519.PublicKeySize)
	}
	return []Key{{Public: ed25519.PublicKey(raw)}}, nil
}

func spkiKey(der []byte) ([]Key, error) {
	k, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("it is no SubjectPublicKeyInfo")
	}
	return []Key{{Public: k}}, nil
}

// parsePEM reads public keys and one chain of certificates.
func parsePEM(data []byte) ([]Key, error) {
	var keys []Key
	var chain []*x509.Certificate
	for n := 0; n < maxKeySet; n++ {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		switch block.Type {
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, errors.New("a certificate in it can't be read")
			}
			chain = append(chain, c)
		case "PUBLIC KEY":
			k, err := spkiKey(block.Bytes)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k...)
		case "RSA PUBLIC KEY":
			k, err := x509.ParsePKCS1PublicKey(block.Bytes)
			if err != nil {
				return nil, errors.New("a public key of RSA in it can't be read")
			}
			keys = append(keys, Key{Public: k})
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
			return nil, errors.New("it is a private key; the provider's public key is wanted")
		}
	}
	if len(chain) > 0 {
		keys = append(keys, Key{Public: chain[0].PublicKey, Chain: chain})
	}
	if len(keys) == 0 {
		return nil, errors.New("it is PEM without a public key or certificate")
	}
	return keys, nil
}

func parseJWKs(encoding, text string) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if encoding == "jwk" {
		set.Keys = []json.RawMessage{json.RawMessage(text)}
	} else if err := json.Unmarshal([]byte(text), &set); err != nil {
		return nil, errors.New("it is no JSON Web Key set")
	}
	if len(set.Keys) > maxKeySet {
		set.Keys = set.Keys[:maxKeySet]
	}
	var keys []Key
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(raw, &k); err != nil || !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
			continue
		}
		keys = append(keys, Key{ID: k.KeyID, Public: k.Key, Chain: k.Certificates})
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no JSON Web Key for signatures")
	}
	return keys, nil
}

// parsePrivate reads the private key that the sandbox signs with.
func (p *public) parsePrivate(text string) (crypto.Signer, error) {
	k, err := ParsePrivateKey(p.keyEncoding, text)
	if err != nil {
		return nil, err
	}
	return k, p.fits(k.Public())
}

// ParsePrivateKey reads a private key: PEM (PKCS #8, PKCS #1 or SEC 1), or the
// seed of ed25519 in hex (hex_public_key) or base64 (any other encoding). The
// error never quotes it.
func ParsePrivateKey(encoding, text string) (crypto.Signer, error) {
	text = strings.TrimSpace(text)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return parsePrivateDER(block.Bytes)
	}
	var seed []byte
	var err error
	if encoding == "hex_public_key" {
		seed, err = hex.DecodeString(text)
	} else {
		seed, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	}
	switch {
	case err != nil:
		return nil, errors.New("the private key is neither PEM nor the seed of ed25519")
	case len(seed) == ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(seed), nil
	case len(seed) == ed25519.PrivateKeySize:
		return ed25519.NewKeyFromSeed(seed[:ed25519.SeedSize]), nil
	}
	return parsePrivateDER(seed)
}

func parsePrivateDER(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		switch k := k.(type) {
		case *rsa.PrivateKey:
			return k, nil
		case *ecdsa.PrivateKey:
			return k, nil
		case ed25519.PrivateKey:
			return k, nil
		}
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	return nil, errors.New("the private key can't be read; PKCS #8, PKCS #1 and SEC 1 are understood")
}

// signaturePair is a signature of ECDSA in ASN.1.
type signaturePair struct{ R, S *big.Int }

// toASN1 turns r and s side by side into ASN.1.
func toASN1(sig []byte, bits int) ([]byte, error) {
	n := (bits + 7) / 8
	if len(sig) != 2*n {
		return nil, errors.New("wrong length")
	}
	return asn1.Marshal(signaturePair{new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])})
}

func fromASN1(sig []byte, bits int) ([]byte, error) {
	var pair signaturePair
	if _, err := asn1.Unmarshal(sig, &pair); err != nil {
		return nil, err
	}
	n := (bits + 7) / 8
	out := make([]byte, 2*n)
	pair.R.FillBytes(out[:n])
	pair.S.FillBytes(out[n:])
	return out, nil
}
