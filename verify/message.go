package verify

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// Bounds on a signature according to RFC 9421.
const (
	maxLabels     = 8
	maxComponents = 32
	maxMessageSig = 16 << 10 // bytes of Signature and Signature-Input
)

// httpMessage is http_message_signatures: RFC 9421, with the body covered by
// Content-Digest (RFC 9530). signed_content lists the components that must be
// covered, separated by spaces; a body must always be.
type httpMessage struct {
	scheme  *Scheme
	covered []string
	public  bool // else hmac-sha256
	label   string
}

// messageAlgorithms are the names of RFC 9421, 3.3 in those of this package.
var messageAlgorithms = map[string]string{
	"ed25519": "ed25519", "ecdsa-p256-sha256": "ecdsa-p256-sha256-raw", "rsa-pss-sha512": "rsa-pss-sha512",
	"rsa-v1_5-sha256": "rsa-sha256", "rsa-sha256": "rsa-sha256", "hmac-sha256": "",
}

func (s *Scheme) compileMessage(v catalog.Verification) error {
	name, ok := messageAlgorithms[v.Algorithm]
	if !ok {
		return fmt.Errorf("algorithm: %q is not one of ed25519, ecdsa-p256-sha256, hmac-sha256, rsa-pss-sha512, rsa-v1_5-sha256", v.Algorithm)
	}
	m := &httpMessage{scheme: s, covered: strings.Fields(v.SignedContent), public: name != "", label: "sig1"}
	var err error
	if m.public {
		p := publicAlgorithms[name]
		p.algorithm, p.keyEncoding = v.Algorithm, v.KeyEncoding
		s.public = &p
		err = checkKeyEncoding(v.KeyEncoding)
	} else {
		s.newHash, s.size = sha256.New, sha256.Size
		s.keyOf, err = compileKey(v.KeyEncoding)
	}
	switch {
	case err != nil:
		return err
	case len(v.Header) != 1 || !strings.EqualFold(v.Header[0], "Signature"):
		return errors.New("header: RFC 9421 has it in Signature")
	case v.TimestampHeader != "" && v.TimestampHeader != "param:created":
		return fmt.Errorf("timestamp_header: %q is not param:created", v.TimestampHeader)
	case v.ToleranceS > 0 && v.TimestampHeader == "":
		return errors.New("tolerance_s: without timestamp_header there is no time to compare")
	case !slices.Contains(m.covered, "content-digest"):
		return errors.New("signed_content: content-digest is not among the components, so nothing would vouch for the body")
	}
	s.prover = m
	return nil
}

func (m *httpMessage) verify(ctx context.Context, r *Request, given Given) error {
	inputs, signatures, err := m.read(r)
	if err != nil {
		return err
	}
	if err := checkDigest(r); err != nil {
		return err
	}
	worst := fmt.Errorf("%w: Signature-Input names no signature that is in Signature", ErrMalformed)
	for _, label := range inputs.Names() {
		member, _ := inputs.Get(label)
		list, ok := member.(httpsfv.InnerList)
		if !ok {
			return fmt.Errorf("%w: %.40q in Signature-Input is no list", ErrMalformed, label)
		}
		sig, ok := signatureOf(signatures, label)
		if !ok {
			continue
		}
		err := m.verifyOne(ctx, r, given, list, sig)
		if err == nil {
			return nil
		}
		worst = err
	}
	return worst
}

func (m *httpMessage) read(r *Request) (inputs, signatures *httpsfv.Dictionary, err error) {
	if len(r.Header["Signature"]) == 0 || len(r.Header["Signature-Input"]) == 0 {
		return nil, nil, fmt.Errorf("%w: no Signature and Signature-Input", ErrUnsigned)
	}
	size := 0
	for _, name := range []string{"Signature", "Signature-Input", "Content-Digest"} {
		for _, v := range r.Header[name] {
			size += len(v)
		}
	}
	if size > maxMessageSig {
		return nil, nil, fmt.Errorf("%w: %d bytes of signature headers", ErrMalformed, size)
	}
	if inputs, err = httpsfv.UnmarshalDictionary(r.Header["Signature-Input"]); err != nil {
		return nil, nil, fmt.Errorf("%w: Signature-Input can't be read", ErrMalformed)
	}
	if signatures, err = httpsfv.UnmarshalDictionary(r.Header["Signature"]); err != nil {
		return nil, nil, fmt.Errorf("%w: Signature can't be read", ErrMalformed)
	}
	if len(inputs.Names()) > maxLabels {
		return nil, nil, fmt.Errorf("%w: more than %d signatures", ErrMalformed, maxLabels)
	}
	return inputs, signatures, nil
}

func signatureOf(signatures *httpsfv.Dictionary, label string) ([]byte, bool) {
	member, ok := signatures.Get(label)
	if !ok {
		return nil, false
	}
	item, ok := member.(httpsfv.Item)
	if !ok {
		return nil, false
	}
	sig, ok := item.Value.([]byte)
	return sig, ok && len(sig) > 0 && len(sig) <= maxSignature
}

func (m *httpMessage) verifyOne(ctx context.Context, r *Request, given Given, list httpsfv.InnerList, sig []byte) error {
	if err := m.parameters(list); err != nil {
		return err
	}
	base, names, err := signatureBase(r, list)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for _, want := range m.covered {
		if want == "content-digest" && len(r.Body) == 0 {
			continue
		}
		if !slices.Contains(names, want) {
			return fmt.Errorf("%w: the signature does not cover %s", ErrMalformed, want)
		}
	}
	keyID, _ := parameter[string](list, "keyid")
	matched, keys, err := m.matches(ctx, r, given, keyID, []byte(base), sig)
	if err != nil {
		return err
	}
	if !matched {
		return fmt.Errorf("%w: one signature over %s against %d keys", ErrMismatch, strings.Join(names, ", "), keys)
	}
	return m.timely(list, given.Now)
}

// parameters checks what the signature says about itself.
func (m *httpMessage) parameters(list httpsfv.InnerList) error {
	alg, ok := parameter[string](list, "alg")
	if ok && messageAlgorithms[alg] != messageAlgorithms[m.algorithm()] {
		return fmt.Errorf("%w: the signature says alg %.40q, the scheme has %s", ErrMalformed, alg, m.algorithm())
	}
	if len(list.Items) > maxComponents {
		return fmt.Errorf("%w: %d components", ErrMalformed, len(list.Items))
	}
	if _, ok := parameter[int64](list, "created"); !ok && m.scheme.tolerance > 0 {
		return fmt.Errorf("%w: the signature has no parameter created", ErrMalformed)
	}
	return nil
}

func (m *httpMessage) algorithm() string {
	if m.public {
		return m.scheme.public.algorithm
	}
	return "hmac-sha256"
}

func (m *httpMessage) matches(ctx context.Context, r *Request, given Given, keyID string, base, sig []byte) (matched bool, keys int, err error) {
	if m.public {
		list, err := m.scheme.publicKeys(ctx, r, given, keyID)
		if err != nil {
			return false, 0, err
		}
		d := m.scheme.public.message()
		_, _ = d.Write(base)
		return m.scheme.anyMatch(list, d.sum(), [][]byte{sig}), len(list), nil
	}
	secrets, err := usable(given.Secrets)
	if err != nil {
		return false, 0, err
	}
	for _, s := range secrets {
		raw, err := m.scheme.keyOf(s.Reveal())
		if err != nil || len(raw) == 0 {
			continue
		}
		mac := hmac.New(sha256.New, raw)
		mac.Write(base)
		matched = hmac.Equal(mac.Sum(nil), sig) || matched
	}
	return matched, len(secrets), nil
}

func (m *httpMessage) timely(list httpsfv.InnerList, now time.Time) error {
	if expires, ok := parameter[int64](list, "expires"); ok && now.Unix() > expires {
		return fmt.Errorf("%w: the signature expired %d s ago", ErrStale, now.Unix()-expires)
	}
	created, _ := parameter[int64](list, "created")
	return m.scheme.inWindow(time.Unix(created, 0), now)
}

func parameter[T any](list httpsfv.InnerList, name string) (value T, ok bool) {
	if list.Params == nil {
		return value, false
	}
	v, found := list.Params.Get(name)
	if !found {
		return value, false
	}
	value, ok = v.(T)
	return value, ok
}

// signatureBase is RFC 9421, 2.5. It also returns the names of the components.
func signatureBase(r *Request, list httpsfv.InnerList) (base string, names []string, err error) {
	var b strings.Builder
	seen := map[string]bool{}
	for _, item := range list.Items {
		name, ok := item.Value.(string)
		if !ok {
			return "", nil, errors.New("a component is no string")
		}
		id, err := httpsfv.Marshal(item)
		if err != nil {
			return "", nil, errors.New("a component can't be written")
		}
		if seen[id] {
			return "", nil, fmt.Errorf("component %.60s comes twice", id)
		}
		seen[id] = true
		value, err := component(r, name, item.Params)
		if err != nil {
			return "", nil, fmt.Errorf("component %.60s: %w", id, err)
		}
		if strings.ContainsAny(value, "\r\n") {
			return "", nil, fmt.Errorf("component %.60s holds a line break", id)
		}
		names = append(names, name)
		b.WriteString(id + ": " + value + "\n")
	}
	params, err := httpsfv.Marshal(list)
	if err != nil {
		return "", nil, errors.New("the parameters can't be written")
	}
	b.WriteString(`"@signature-params": ` + params)
	return b.String(), names, nil
}

// component is the value of one component (RFC 9421, 2.1 and 2.2). Parameters
// other than name change what is signed and are refused rather than misread.
func component(r *Request, name string, params *httpsfv.Params) (string, error) {
	if params != nil {
		for _, p := range params.Names() {
			if name != "@query-param" || p != "name" {
				return "", fmt.Errorf("parameter %.20q is not understood", p)
			}
		}
	}
	if !strings.HasPrefix(name, "@") {
		if name != strings.ToLower(name) {
			return "", errors.New("its name is not in lower case")
		}
		return field(r, name)
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return "", errors.New("our own address can't be read")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	switch name {
	case "@method":
		return r.Method, nil
	case "@target-uri":
		return r.URL, nil
	case "@authority":
		return authority(u), nil
	case "@scheme":
		return strings.ToLower(u.Scheme), nil
	case "@request-target":
		return pathOf(r.URL), nil
	case "@path":
		return path, nil
	case "@query":
		return "?" + u.RawQuery, nil
	case "@query-param":
		return queryParam(r, params)
	}
	return "", errors.New("it is not known")
}

// field is a header's values, trimmed and joined.
func field(r *Request, name string) (string, error) {
	for key, values := range r.Header {
		if !strings.EqualFold(key, name) {
			continue
		}
		trimmed := make([]string, 0, len(values))
		for _, v := range values {
			trimmed = append(trimmed, strings.Trim(v, " \t"))
		}
		return strings.Join(trimmed, ", "), nil
	}
	return "", errors.New("there is no such header")
}

func authority(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

func queryParam(r *Request, params *httpsfv.Params) (string, error) {
	if params == nil {
		return "", errors.New("it names no parameter")
	}
	v, _ := params.Get("name")
	encoded, ok := v.(string)
	name, err := url.PathUnescape(encoded)
	if !ok || err != nil {
		return "", errors.New("it names no parameter")
	}
	values := r.Query()[name]
	if len(values) != 1 {
		return "", fmt.Errorf("the parameter comes %d times", len(values))
	}
	return encode3986(values[0]), nil
}

// checkDigest compares every digest of Content-Digest that is understood with
// the body (RFC 9530). Without one nothing is covered.
func checkDigest(r *Request) error {
	if len(r.Header["Content-Digest"]) == 0 {
		if len(r.Body) == 0 {
			return nil
		}
		return fmt.Errorf("%w: no Content-Digest", ErrUnsigned)
	}
	digests, err := httpsfv.UnmarshalDictionary(r.Header["Content-Digest"])
	if err != nil {
		return fmt.Errorf("%w: Content-Digest can't be read", ErrMalformed)
	}
	known := 0
	for _, name := range digests.Names() {
		var sum []byte
		switch name {
		case "sha-256":
			s := sha256.Sum256(r.Body)
			sum = s[:]
		case "sha-512":
			s := sha512.Sum512(r.Body)
			sum = s[:]
		default:
			continue
		}
		known++
		got, ok := signatureOf(digests, name)
		if !ok || subtle.ConstantTimeCompare(got, sum) != 1 {
			return fmt.Errorf("%w: the body of %d bytes does not have the %s of Content-Digest", ErrMismatch, len(r.Body), name)
		}
	}
	if known == 0 {
		return fmt.Errorf("%w: Content-Digest has neither sha-256 nor sha-512", ErrMalformed)
	}
	return nil
}

// sign covers the components of the scheme under the label sig1, with the key id
// of Config key_id when there is one.
func (m *httpMessage) sign(r *Request, secret integration.Secret, now time.Time) error {
	if len(r.Body) > 0 {
		sum := sha256.Sum256(r.Body)
		r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	}
	list := httpsfv.InnerList{Params: httpsfv.NewParams()}
	for _, name := range m.covered {
		if name == "content-digest" && len(r.Body) == 0 {
			continue
		}
		list.Items = append(list.Items, httpsfv.NewItem(name))
	}
	list.Params.Add("created", now.Unix())
	if id := r.Config["key_id"]; id != "" {
		list.Params.Add("keyid", id)
	}
	base, _, err := signatureBase(r, list)
	if err != nil {
		return err
	}
	sig, err := m.signature([]byte(base), secret)
	if err != nil {
		return err
	}
	inputs, signatures := httpsfv.NewDictionary(), httpsfv.NewDictionary()
	inputs.Add(m.label, list)
	signatures.Add(m.label, httpsfv.NewItem(sig))
	input, err := httpsfv.Marshal(inputs)
	if err != nil {
		return err
	}
	text, err := httpsfv.Marshal(signatures)
	if err != nil {
		return err
	}
	r.Header.Set("Signature-Input", input)
	r.Header.Set("Signature", text)
	return nil
}

func (m *httpMessage) signature(base []byte, secret integration.Secret) ([]byte, error) {
	if !m.public {
		raw, err := m.scheme.keyOf(secret.Reveal())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoSecret, err)
		}
		mac := hmac.New(sha256.New, raw)
		mac.Write(base)
		return mac.Sum(nil), nil
	}
	var private crypto.Signer
	private, err := m.scheme.public.parsePrivate(secret.Reveal())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSecret, err)
	}
	d := m.scheme.public.message()
	_, _ = d.Write(base)
	return m.scheme.public.sign(private, d.sum())
}
