package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
)

// redacted is what every way of printing a Secret shows.
const redacted = "[secret]"

// Secret is a value that must never be printed: an API key, a signing secret,
// a token. Formatting, logging and marshalling it show "[secret]"; only Reveal
// hands out the value, so a review can search for that one word (R2.10, R0.7).
//
// The zero value is an empty secret.
type Secret struct{ v string }

// NewSecret wraps v.
func NewSecret(v string) Secret { return Secret{v} }

// Reveal returns the value itself. Call it only where the value goes onto the
// wire or into a comparison.
func (s Secret) Reveal() string { return s.v }

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.v == "" }

// Fingerprint identifies the value without giving it away: the first eight hex
// digits of its SHA-256. It is what the usage log records. An empty secret has
// an empty fingerprint.
func (s Secret) Fingerprint() string {
	if s.v == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(s.v))
	return hex.EncodeToString(sum[:4])
}

// String returns "[secret]".
func (Secret) String() string { return redacted }

// GoString returns "[secret]", so %#v does not print the field.
func (Secret) GoString() string { return redacted }

// LogValue makes slog print "[secret]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText makes JSON, YAML and text encoders write "[secret]".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
