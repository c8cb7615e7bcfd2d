package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
)

// Keys finds the public keys that a request was signed with. Package
// verify/keys fetches them; KeySet holds them. An error that wraps
// ErrMalformed blames the sender; every other one is reported as ErrNoKey.
type Keys interface {
	Keys(ctx context.Context, need Need) ([]Key, error)
}

// Need is what a request asks of Keys. It has been checked: the address is https
// and one that the scheme allows.
type Need struct {
	URL    string // where the keys stand
	Format string // jwks, jwk, pem, x509_pem, spki_der_base64 or json:<path>
	// Encoding of the key at a json:<path>.
	Encoding string
	KeyID    string // the key the request names; empty when it names none
}

// KeySet is a fixed set of keys, whatever is needed. Where both the need and a
// key have an id, the ids must be the same.
type KeySet []Key

// Keys implements Keys.
func (s KeySet) Keys(_ context.Context, need Need) ([]Key, error) {
	return s.For(need.KeyID), nil
}

// For returns the keys that may be the one with the id.
func (s KeySet) For(id string) []Key {
	var fit []Key
	for _, k := range s {
		if id == "" || k.ID == "" || k.ID == id {
			fit = append(fit, k)
		}
	}
	return fit
}

// keySource is a compiled catalog.KeySource.
type keySource struct {
	url      string
	urlPath  extract.Path
	hosts    []string
	path     *regexp.Regexp
	format   string
	encoding string
	keyID    extract.Path
	param    string // "param:keyid"
	chain    bool
	dnsName  string
}

func compileKeySource(v catalog.Verification) (*keySource, error) {
	k := v.Keys
	if k == nil {
		return nil, nil //nolint:nilnil // no source is a source's absence
	}
	s := &keySource{url: k.URL, hosts: k.Hosts, format: k.Format, encoding: v.KeyEncoding, chain: k.Chain, dnsName: k.DNSName}
	var err error
	switch {
	case (k.URL == "") == (k.URLPath == ""):
		return nil, errors.New("keys: exactly one of url and url_path says where they stand")
	case k.URL != "" && !strings.HasPrefix(k.URL, "https://"):
		return nil, fmt.Errorf("keys.url: %q is not https", k.URL)
	case k.URLPath != "" && len(k.Hosts) == 0:
		return nil, errors.New("keys.hosts: a request may only name hosts that are listed here")
	case (k.Chain || k.DNSName != "") && k.Format != "x509_pem":
		return nil, errors.New("keys.chain: only certificates (format x509_pem) have one")
	case !strings.HasPrefix(k.Format, "json:") && !slices.Contains([]string{"jwks", "jwk", "pem", "x509_pem", "spki_der_base64"}, k.Format):
		return nil, fmt.Errorf("keys.format: %q is not one of jwks, jwk, pem, x509_pem, spki_der_base64, json:<path>", k.Format)
	}
	if err := CheckHosts(k.Hosts); err != nil {
		return nil, fmt.Errorf("keys.hosts: %w", err)
	}
	if k.URLPath != "" {
		if s.urlPath, err = place(k.URLPath); err != nil {
			return nil, fmt.Errorf("keys.url_path: %w", err)
		}
	}
	if k.PathPattern != "" {
		if s.path, err = regexp.Compile("^(?:" + k.PathPattern + ")$"); err != nil {
			return nil, fmt.Errorf("keys.path_pattern: %w", err)
		}
	}
	if param, ok := strings.CutPrefix(k.KeyID, "param:"); ok {
		s.param = param
	} else if k.KeyID != "" {
		if s.keyID, err = place(k.KeyID); err != nil {
			return nil, fmt.Errorf("keys.key_id: %w", err)
		}
	}
	return s, nil
}

// maxKeyID bounds key ids, which become part of addresses and of caches.
const maxKeyID = 256

// need says what the request asks for. A key id in the signature's own
// parameters is passed in.
func (k *keySource) need(r *Request, keyID string) (Need, error) {
	if !k.keyID.IsZero() {
		keyID, _ = k.keyID.Value(r)
	}
	if len(keyID) > maxKeyID {
		return Need{}, fmt.Errorf("%w: a key id of %d characters", ErrMalformed, len(keyID))
	}
	n := Need{URL: k.url, Format: k.format, Encoding: k.encoding, KeyID: keyID}
	if k.url != "" {
		if strings.Contains(k.url, "{kid}") {
			if keyID == "" {
				return Need{}, fmt.Errorf("%w: it names no key", ErrMalformed)
			}
			n.URL = strings.ReplaceAll(k.url, "{kid}", url.PathEscape(keyID))
		}
		return n, nil
	}
	text, _ := k.urlPath.Value(r)
	if err := k.allowed(text); err != nil {
		return Need{}, fmt.Errorf("%w: %s: %w", ErrMalformed, k.urlPath, err)
	}
	n.URL = text
	return n, nil
}

// allowed checks an address that the request names: anybody may send it.
func (k *keySource) allowed(text string) error {
	u, err := CheckAddress(text, k.hosts)
	switch {
	case err != nil:
		return err
	case k.path != nil && !k.path.MatchString(u.Path):
		return fmt.Errorf("path %.80q is not of the form %s", u.Path, strings.TrimSuffix(strings.TrimPrefix(k.path.String(), "^(?:"), ")$"))
	}
	return nil
}

// maxAddress bounds addresses that a request names.
const maxAddress = 2048

// CheckAddress reads an address that a stranger named and that we are to fetch.
// It must be plain https, without user, port or tricks in its path, and its host
// one of the patterns: names in which "*" stands for one label, or, as the first
// label, for one or more.
func CheckAddress(text string, hosts []string) (*url.URL, error) {
	if len(text) > maxAddress {
		return nil, fmt.Errorf("an address of %d characters", len(text))
	}
	u, err := url.Parse(text)
	switch {
	case text == "" || err != nil:
		return nil, errors.New("there is no address")
	case u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.Fragment != "" || u.Port() != "" && u.Port() != "443":
		return nil, fmt.Errorf("%.80q is no plain https address", text)
	case !hostAllowed(u.Hostname(), hosts):
		return nil, fmt.Errorf("host %.80q is not one of %s", u.Hostname(), strings.Join(hosts, ", "))
	case strings.Contains(u.Path, "..") || strings.ContainsAny(u.Path, "\\%"):
		return nil, fmt.Errorf("path %.80q goes astray", u.Path)
	}
	return u, nil
}

func hostAllowed(host string, patterns []string) bool {
	host = strings.ToLower(host)
	return slices.ContainsFunc(patterns, func(p string) bool { return hostMatches(host, strings.ToLower(p)) })
}

func hostMatches(host, pattern string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*."); ok {
		labels := strings.TrimSuffix(host, "."+suffix)
		return labels != host && labels != "" && validLabels(labels)
	}
	want, got := strings.Split(pattern, "."), strings.Split(host, ".")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (want[i] != "*" || !validLabels(got[i])) {
			return false
		}
	}
	return true
}

func validLabels(labels string) bool {
	for label := range strings.SplitSeq(labels, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// CheckHosts refuses patterns for CheckAddress that are no hosts, or leave the
// registered name open.
func CheckHosts(patterns []string) error {
	for _, p := range patterns {
		if err := checkHostPattern(p); err != nil {
			return err
		}
	}
	return nil
}

func checkHostPattern(p string) error {
	labels := strings.Split(p, ".")
	if len(labels) < 2 {
		return fmt.Errorf("%q is no host", p)
	}
	// The registered name itself must be spelled out.
	for i, l := range labels {
		if l == "*" && i < len(labels)-2 {
			continue
		}
		if !validLabels(strings.ToLower(l)) {
			return fmt.Errorf("%q is no host of which the last two labels are given", p)
		}
	}
	return nil
}

// publicKeys are those the request may have been signed with: a usable one among
// the secrets, else what the source of keys has.
func (s *Scheme) publicKeys(ctx context.Context, r *Request, given Given, keyID string) ([]Key, error) {
	var keys []Key
	var unusable error
	for i, secret := range given.Secrets {
		if secret.IsZero() {
			continue
		}
		if k := s.key(secret); k.err == nil {
			keys = append(keys, k.public)
		} else {
			unusable = errors.Join(unusable, fmt.Errorf("secret %d of %d can't be used: %w", i+1, len(given.Secrets), k.err))
		}
	}
	switch {
	case len(keys) > 0:
		return keys, nil
	case s.keys == nil && unusable != nil:
		return nil, fmt.Errorf("%w: %w", ErrNoSecret, unusable)
	case s.keys == nil:
		return nil, fmt.Errorf("%w: %d given, none with a value", ErrNoSecret, len(given.Secrets))
	}
	return s.fetched(ctx, r, given, keyID)
}

// fetched asks the source of keys and checks the certificates it gives.
func (s *Scheme) fetched(ctx context.Context, r *Request, given Given, keyID string) ([]Key, error) {
	need, err := s.keys.need(r, keyID)
	if err != nil {
		return nil, err
	}
	if given.Keys == nil {
		return nil, fmt.Errorf("%w: they stand at %s, and nothing was given to fetch them; configure the public key as the secret", ErrNoKey, need.URL)
	}
	found, err := given.Keys.Keys(ctx, need)
	switch {
	case errors.Is(err, ErrMalformed):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	keys := make([]Key, 0, len(found))
	for _, k := range found {
		if err := s.keys.trust(k, given); err != nil {
			return nil, fmt.Errorf("%w: the certificate from %s: %w", ErrMismatch, need.URL, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: %s has no key %.40q", ErrMismatch, need.URL, need.KeyID)
	}
	return keys, nil
}

// trust checks the certificate of a key: its names, its time and, where the
// source asks for it, the chain to a root.
func (k *keySource) trust(key Key, given Given) error {
	if k.format != "x509_pem" {
		return nil
	}
	if len(key.Chain) == 0 {
		return errors.New("there is none")
	}
	leaf := key.Chain[0]
	if k.dnsName != "" {
		if err := leaf.VerifyHostname(k.dnsName); err != nil {
			return fmt.Errorf("it is not for %s", k.dnsName)
		}
	}
	if given.Now.Before(leaf.NotBefore) || given.Now.After(leaf.NotAfter) {
		return fmt.Errorf("it is valid from %s to %s", leaf.NotBefore.Format("2006-01-02"), leaf.NotAfter.Format("2006-01-02"))
	}
	if !k.chain {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range key.Chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: given.Roots, Intermediates: between, CurrentTime: given.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

// usable are the secrets with a value, for families that take them as they are.
func usable(secrets []integration.Secret) ([]integration.Secret, error) {
	var list []integration.Secret
	for _, s := range secrets {
		if !s.IsZero() {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: %d given, none with a value", ErrNoSecret, len(secrets))
	}
	return list, nil
}
