package paginate

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/catalog"
)

// Kind is a way in which lists continue.
type Kind string

// The kinds there are; the words are those of catalog.Pagination.Style.
const (
	Cursor     Kind = "cursor"       // the answer's body holds the value that asks for the next page
	CursorByID Kind = "cursor_by_id" // the id of the last item asks for the next page: starting_after
	LinkHeader Kind = "link_header"  // the answer's Link header has the next URL (RFC 8288)
	NextURL    Kind = "next_url"     // the answer's body holds the next URL
	PageNumber Kind = "page"         // pages are counted
	Offset     Kind = "offset"       // items are counted
)

// Style is how the lists of one provider, or of one endpoint, continue. Paths into
// the answer are body paths as in the profile: gjson, a.b.c.
type Style struct {
	Kind Kind
	// Param is the request parameter that asks for a page; of the query for GET and
	// HEAD, else of the body. link_header and next_url have none.
	Param string
	// Items is the path of the list. Empty: the answer is the list, or the only
	// list among its members.
	Items string
	// Next is the path of the next cursor (cursor) or URL (next_url).
	Next string
	// More is the path of a boolean that is false on the last page; empty: nothing
	// says so.
	More string
	// Total is the path of how many items (offset) or pages (page) there are in
	// all; empty: the first empty page is the end.
	Total string
	// ID is the path in an item of what asks for the next page (cursor_by_id);
	// empty is id.
	ID string
	// First is the number of the first page (page), 0 or 1. It is used where the
	// first request names none.
	First int
	// Base is the path that next URLs must not leave: the credential goes where
	// they point. Empty allows all paths of the host.
	Base string
	// Strip names query parameters that are taken out of next URLs: providers
	// repeat the credential there.
	Strip []string
}

// Of is the style that a provider's profile declares. An endpoint whose answers
// hold several lists needs Items besides.
func Of(p *catalog.Profile) (Style, error) {
	facts := p.Pagination
	s := Style{
		Kind: Kind(facts.Style), Param: facts.Param, Items: facts.Items, Next: facts.Cursor, More: facts.More, Total: facts.Total, First: 1,
	}
	if facts.First != nil {
		s.First = *facts.First
	}
	if base, err := url.Parse(p.API.BaseURL); err == nil {
		s.Base = strings.TrimSuffix(base.Path, "/")
	}
	for _, auth := range p.Auth {
		if auth.In == "query" && auth.Name != "" {
			s.Strip = append(s.Strip, auth.Name)
		}
		if auth.Kind == "oauth2" {
			s.Strip = append(s.Strip, "access_token") // RFC 6750, section 2.3
		}
	}
	if err := s.Check(); err != nil {
		return Style{}, fmt.Errorf("profile %s: pagination: %w", p.ID, err)
	}
	return s, nil
}

// Check reports what the style lacks.
func (s Style) Check() error {
	need := func(value, field, what string) error {
		if value == "" {
			return fmt.Errorf("style %s needs %s: %s", s.Kind, field, what)
		}
		return nil
	}
	var errs []error
	switch s.Kind {
	case "":
		return errors.New("no style is known; write one of cursor, cursor_by_id, link_header, next_url, page, offset")
	case Cursor:
		errs = append(errs, need(s.Param, "param", "the parameter that carries the cursor"), need(s.Next, "cursor", "where the answer holds the next one"))
	case CursorByID, PageNumber, Offset:
		errs = append(errs, need(s.Param, "param", "the parameter that asks for a page"))
	case NextURL:
		errs = append(errs, need(s.Next, "cursor", "where the answer holds the next URL"))
	case LinkHeader:
	default:
		return fmt.Errorf("style %q is unknown; write one of cursor, cursor_by_id, link_header, next_url, page, offset", s.Kind)
	}
	if s.First < 0 {
		errs = append(errs, fmt.Errorf("first is %d; write 0 or 1", s.First))
	}
	return errors.Join(errs...)
}

// byURL reports whether a cursor is a path with its query.
func (s Style) byURL() bool { return s.Kind == LinkHeader || s.Kind == NextURL }

// counted reports whether a cursor is a number of ours, so that a provider that
// ignores it sends the same page for ever.
func (s Style) counted() bool { return s.Kind == PageNumber || s.Kind == Offset }

// id is the path of an item's id.
func (s Style) id() string { return cmp.Or(s.ID, "id") }
