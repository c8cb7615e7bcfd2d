package verify

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
)

// source is one place where a signature may stand.
type source struct {
	path     extract.Path
	numbered string // canonical beginning of numbered headers; empty: path
}

// place reads a header name or a path.
func place(s string) (extract.Path, error) {
	if strings.Contains(s, ":") {
		return extract.Parse(s)
	}
	return extract.Parse("header:" + s)
}

func isEach(p extract.Path) bool { _, _, ok := p.Each(); return ok }

func compileSources(headers []string) ([]source, error) {
	if len(headers) == 0 {
		return nil, errors.New("header: it must say where the signature stands")
	}
	var sources []source
	for _, h := range headers {
		beginning, numbered := strings.CutSuffix(h, "*")
		path, err := place(beginning)
		if err != nil {
			return nil, fmt.Errorf("header: %w", err)
		}
		s := source{path: path}
		switch {
		case numbered && path.Kind() != extract.Header:
			return nil, fmt.Errorf("header: %q: only header names may end in *", h)
		case numbered:
			s.numbered = path.Name()
		case path.Kind() == extract.Config:
			return nil, fmt.Errorf("header: %q is not part of the request", h)
		case isEach(path) && len(headers) > 1:
			return nil, fmt.Errorf("header: %q stands in every item and must stand alone", h)
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// layout is a compiled catalog.SignatureParse.
type layout struct {
	prefix, itemPrefix                string
	listSep, kvSep, pairSep, groupSep string
	sigKeys                           []string
	tsKey                             string
	positional                        bool
}

func compileLayout(p *catalog.SignatureParse, c clock) (layout, error) {
	if p == nil {
		p = &catalog.SignatureParse{}
	}
	l := layout{
		prefix: p.Prefix, itemPrefix: p.ItemPrefix, kvSep: p.KVSep, pairSep: p.PairSep, sigKeys: p.SigKeys, tsKey: p.TSKey,
		listSep: separator(p.ListSep), groupSep: separator(p.GroupSep), positional: p.Positional != "",
	}
	kinds := 0
	for _, used := range []bool{p.Prefix != "", p.ItemPrefix != "", p.KVSep != "", p.PairSep != "", p.Positional != ""} {
		if used {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return l, errors.New("parse: use only one of prefix, item_prefix, kv_sep, pair_sep, positional")
	case kinds == 1 && p.Prefix == "" && p.ListSep == "":
		return l, errors.New("parse: list_sep is missing")
	case p.Prefix != "" && p.ListSep != "":
		return l, errors.New("parse: prefix is for one signature, item_prefix for those of a list")
	case (p.KVSep != "") != (len(p.SigKeys) > 0):
		return l, errors.New("parse: kv_sep and sig_keys belong together")
	case p.KVSep == "" && (p.TSKey != "" || p.GroupSep != ""):
		return l, errors.New("parse: ts_key and group_sep need kv_sep")
	case l.positional && p.Positional != "timestamp,sig...":
		return l, fmt.Errorf("parse: positional: %q must be \"timestamp,sig...\"", p.Positional)
	case l.positional && c.param != "0":
		return l, errors.New("timestamp_header: with positional it is param:0")
	case !l.positional && c.param != p.TSKey:
		return l, fmt.Errorf("parse: ts_key is %q, timestamp_header says %q", p.TSKey, c.param)
	}
	return l, nil
}

// separator drops the spaces around a separator, since items are trimmed; a
// separator that is all space stays one space.
func separator(s string) string {
	if t := strings.TrimSpace(s); t != "" || s == "" {
		return t
	}
	return " "
}

// read finds the signatures of a request and what belongs to each.
func (s *Scheme) read(r *Request, w *work) error {
	found := false
	for i := range s.sources {
		src := &s.sources[i]
		switch {
		case src.numbered != "":
			for name, values := range r.Header {
				if !strings.HasPrefix(name, src.numbered) || !digits(name[len(src.numbered):]) {
					continue
				}
				for _, v := range values {
					found = found || v != ""
					if err := s.parseValue(w, v); err != nil {
						return err
					}
				}
			}
		case src.path.Kind() == extract.Header:
			for _, v := range r.Header[src.path.Name()] {
				found = found || v != ""
				if err := s.parseValue(w, v); err != nil {
					return err
				}
			}
		default:
			if v, ok := src.path.Value(r); ok && v != "" {
				found = true
				if err := s.parseValue(w, v); err != nil {
					return err
				}
			}
		}
	}
	if !found {
		return fmt.Errorf("%w: no %s", ErrUnsigned, s.where)
	}
	if len(w.digests) == 0 && len(w.sigs) == 0 {
		return s.noCandidate(w)
	}
	if !s.clock.path.IsZero() {
		text, _ := s.clock.path.Value(r)
		for i := range w.groups {
			w.groups[i].timestamp = text
		}
	}
	return nil
}

func (s *Scheme) noCandidate(w *work) error {
	if w.seen == 0 {
		return fmt.Errorf("%w: %s holds nothing of the form %s", ErrMalformed, s.where, s.form)
	}
	if s.public != nil {
		return fmt.Errorf("%w: none of the %d signatures in %s is %s", ErrMalformed, w.seen, s.where, s.encoding)
	}
	return fmt.Errorf("%w: none of the %d signatures in %s is %d bytes of %s", ErrMalformed, w.seen, s.where, s.size, s.encoding)
}

// parseValue reads one header value into groups and digests.
func (s *Scheme) parseValue(w *work, value string) error {
	if s.layout.groupSep == "" {
		return s.parseGroup(w, value)
	}
	for rest, more := value, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, s.layout.groupSep)
		if part == "" {
			continue
		}
		if err := s.parseGroup(w, part); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scheme) parseGroup(w *work, text string) error {
	if s.ownTime || len(w.groups) == 0 {
		if len(w.groups) == maxGroups {
			return fmt.Errorf("%w: more than %d groups in %s", ErrMalformed, maxGroups, s.where)
		}
		from := len(w.digests) + len(w.sigs) // one of them is empty
		w.groups = append(w.groups, group{raw: text, from: from, to: from})
	}
	g := &w.groups[len(w.groups)-1]
	l := &s.layout
	if l.listSep == "" {
		if sig, ok := strings.CutPrefix(text, l.prefix); ok {
			return s.candidate(w, g, strings.TrimSpace(sig))
		}
		return nil
	}
	first := true
	for rest, more := text, true; more; first = false {
		var item string
		item, rest, more = strings.Cut(rest, l.listSep)
		if err := s.parseItem(w, g, strings.TrimSpace(item), first); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scheme) parseItem(w *work, g *group, item string, first bool) error {
	l := &s.layout
	switch {
	case l.kvSep != "":
		key, value, _ := strings.Cut(item, l.kvSep)
		switch {
		case key == l.tsKey && l.tsKey != "":
			if g.timestamp != "" {
				return fmt.Errorf("%w: two times in %s", ErrMalformed, s.where)
			}
			g.timestamp = value
		case slices.Contains(l.sigKeys, key):
			return s.candidate(w, g, value)
		}
		return nil
	case l.positional && first:
		g.timestamp = item
		return nil
	case l.pairSep != "":
		id, sig, ok := strings.Cut(item, l.pairSep)
		if !ok || w.keyID != "" && id != w.keyID {
			return nil
		}
		return s.candidate(w, g, sig)
	}
	if sig, ok := strings.CutPrefix(item, l.itemPrefix); ok {
		return s.candidate(w, g, sig)
	}
	return nil
}

// candidate decodes one signature. What can't be one is counted and left out.
func (s *Scheme) candidate(w *work, g *group, text string) error {
	if text == "" {
		return nil
	}
	w.seen++
	if w.seen > maxCandidates {
		return fmt.Errorf("%w: more than %d signatures in %s", ErrMalformed, maxCandidates, s.where)
	}
	if s.public != nil {
		if sig := s.public.decode(text); sig != nil {
			w.sigs = append(w.sigs, sig)
			g.to = len(w.sigs)
		}
		return nil
	}
	if len(text) != s.textLen {
		return nil
	}
	w.buf = append(w.buf[:0], text...)
	var digest [maxDigest + 2]byte // base64 may look two bytes longer before its padding is seen
	if !s.decode(digest[:], w.buf) {
		return nil
	}
	w.digests = append(w.digests, [maxDigest]byte(digest[:maxDigest]))
	g.to = len(w.digests)
	return nil
}

// decode reports whether text is a digest in the scheme's encoding.
func (s *Scheme) decode(dst, text []byte) bool {
	var n int
	var err error
	switch s.encoding {
	case "hex":
		n, err = hex.Decode(dst, text)
	case "base64":
		n, err = base64.StdEncoding.Strict().Decode(dst, text)
	case "base64url":
		n, err = base64.RawURLEncoding.Strict().Decode(dst, text)
	}
	return err == nil && n == s.size
}

// encode writes a signature as text.
func (s *Scheme) encode(sum []byte) string {
	switch s.encoding {
	case "hex":
		return hex.EncodeToString(sum)
	case "base64":
		return base64.StdEncoding.EncodeToString(sum)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

func textLen(encoding string, size int) (int, error) {
	switch encoding {
	case "hex":
		return hex.EncodedLen(size), nil
	case "base64":
		return base64.StdEncoding.EncodedLen(size), nil
	case "base64url":
		return base64.RawURLEncoding.EncodedLen(size), nil
	}
	return 0, fmt.Errorf("encoding: %q is not one of hex, base64, base64url", encoding)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
