package verify

import (
	"crypto"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
)

// piece of a format: literal text or the name of a value.
type piece struct {
	text  string
	value bool
}

func (s *Scheme) compileFormat(v catalog.Verification) error {
	format, _, _ := strings.Cut(v.Format, " [")
	if format == "" {
		format = s.layout.format()
	}
	signature, timestamp := 0, 0
	for rest := format; rest != ""; {
		literal, after, found := strings.Cut(rest, "{")
		if literal != "" {
			s.format = append(s.format, piece{text: literal})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed || name == "" {
			return fmt.Errorf("format: %q has a { without a name and }", v.Format)
		}
		switch name {
		case "sig":
			signature++
		case "timestamp":
			timestamp++
		}
		s.format = append(s.format, piece{text: name, value: true})
		rest = after
	}
	switch {
	case signature != 1:
		return fmt.Errorf("format: %q must hold {sig} once", v.Format)
	case (timestamp > 0) != (s.clock.param != ""):
		return fmt.Errorf("format: %q and timestamp_header %q disagree on where the time stands", v.Format, v.TimestampHeader)
	}
	return nil
}

// format is the format that fits the layout, for a scheme that gives none.
func (l layout) format() string {
	switch {
	case l.positional:
		return "{timestamp}" + l.listSep + "{sig}"
	case l.pairSep != "":
		return "{key_id}" + l.pairSep + "{sig}"
	case l.kvSep != "" && l.tsKey != "":
		return l.tsKey + l.kvSep + "{timestamp}" + l.listSep + l.sigKeys[0] + l.kvSep + "{sig}"
	case l.kvSep != "":
		return l.sigKeys[0] + l.kvSep + "{sig}"
	}
	return l.prefix + l.itemPrefix + "{sig}"
}

// Sign signs the request as the provider would at now: it sets the time and the
// signature where the scheme has them, which for some schemes is in the body.
// Values that are signed too, such as an event id in a header, must be there
// already. Names in the scheme's format other than sig and timestamp come from
// r.Config. Sign of one secret writes one signature.
//
// For schemes with public keys the secret is the private key: PEM, or for
// ed25519 also the seed in the scheme's key_encoding. A client certificate
// (mtls) can't be put into a request.
func (s *Scheme) Sign(r *Request, secret integration.Secret, now time.Time) error {
	if secret.IsZero() {
		return ErrNoSecret
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if s.prover != nil {
		return s.prover.sign(r, secret, now)
	}
	w := s.pool.Get().(*work)
	defer s.release(w)
	private, err := s.signingKey(w, secret)
	if err != nil {
		return err
	}
	if s.each {
		return s.signEach(r, w)
	}
	w.private = private
	g := &group{timestamp: s.clock.format(now), signing: true}
	if !s.clock.path.IsZero() {
		if err := put(r, s.clock.path, g.timestamp); err != nil {
			return fmt.Errorf("setting the time: %w", err)
		}
	}
	text, err := s.signature(r, w, g)
	if err != nil {
		return err
	}
	src := s.sources[0]
	if src.numbered != "" {
		r.Header.Set(src.numbered+"1", text)
		return nil
	}
	if err := put(r, src.path, text); err != nil {
		return fmt.Errorf("setting the signature: %w", err)
	}
	return nil
}

// signEach signs every item of the body.
func (s *Scheme) signEach(r *Request, w *work) error {
	array, inside, _ := s.sources[0].path.Each()
	if !r.ValidJSON() {
		return errors.New("the body is no JSON")
	}
	items := gjson.GetBytes(r.Body, array).Array()
	if len(items) == 0 {
		return fmt.Errorf("the body has no items in %s", array)
	}
	body := r.Body
	for i, item := range items {
		text, err := s.signature(r, w, &group{item: item, signing: true})
		if err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
		if body, err = sjson.SetBytes(body, array+"."+strconv.Itoa(i)+"."+inside, text); err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	r.SetBody(body)
	return nil
}

// signature computes the signature and writes it in the scheme's format.
func (s *Scheme) signature(r *Request, w *work, g *group) (string, error) {
	sum, err := s.sum(r, w, g)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, p := range s.format {
		switch {
		case !p.value:
			text.WriteString(p.text)
		case p.text == "sig":
			text.WriteString(s.encode(sum))
		case p.text == "timestamp":
			text.WriteString(g.timestamp)
		default:
			value, err := s.param(r, g, p.text)
			if err != nil {
				return "", err
			}
			text.WriteString(value)
		}
	}
	return text.String(), nil
}

// sum is the signature in bytes.
func (s *Scheme) sum(r *Request, w *work, g *group) ([]byte, error) {
	if s.public != nil {
		return s.signPublic(r, w, g)
	}
	mac := w.keys[0].pool.Get().(hash.Hash)
	defer w.keys[0].pool.Put(mac)
	mac.Reset()
	if err := s.writeContent(mac, r, w, g, w.keys[0]); err != nil {
		return nil, err
	}
	return mac.Sum(w.sum[:0]), nil
}

// signingKey makes the secret ready to sign with.
func (s *Scheme) signingKey(w *work, secret integration.Secret) (crypto.Signer, error) {
	if s.public != nil {
		private, err := s.public.parsePrivate(secret.Reveal())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoSecret, err)
		}
		return private, nil
	}
	if err := s.usableKeys(w, []integration.Secret{secret}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSecret, err)
	}
	return nil, nil //nolint:nilnil // the key is in w
}

// put sets a value of the request.
func put(r *Request, path extract.Path, value string) error {
	switch path.Kind() {
	case extract.Header:
		r.Header.Set(path.Name(), value)
	case extract.JSON:
		body, err := sjson.SetBytes(r.Body, path.Name(), value)
		if err != nil {
			return err
		}
		r.SetBody(body)
	case extract.Form:
		form, err := url.ParseQuery(string(r.Body))
		if err != nil || !r.IsForm() {
			return errors.New("the body is no form")
		}
		form.Set(path.Name(), value)
		r.SetBody([]byte(form.Encode()))
	case extract.Query:
		base, query, _ := strings.Cut(r.URL, "?")
		values, err := url.ParseQuery(query)
		if err != nil {
			return errors.New("the query is not well-formed")
		}
		values.Set(path.Name(), value)
		r.SetURL(base + "?" + values.Encode())
	default:
		return fmt.Errorf("%s can't be set", path)
	}
	return nil
}
