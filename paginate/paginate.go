// Package paginate goes through the pages of a provider's list (requirements
// R4.15): as a Go iterator over pages or items, and as one NDJSON stream.
//
// There are six ways in which lists continue, see Kind; a Style names one and the
// places it needs. A walk ends by itself where the provider says that there is no
// more. It ends with an error where the provider asks for a page that was already
// read, where there are more pages than allowed, and where the next URL leads
// away from the host or the base path of the API, since the credential would go
// with it. Every error says at which cursor the walk can be taken up again.
package paginate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Bounds used where no option says otherwise.
const (
	DefaultMaxPages = 10_000
	DefaultMaxBody  = 32 << 20 // bytes of one page
	maxRequest      = 1 << 20  // bytes of the request's own body
	maxError        = 64 << 10 // bytes kept of an answer that is no page
)

// Why a walk ends before the list does. They come inside an *Error.
var (
	ErrRepeated  = errors.New("the provider asks for a page that was already read")
	ErrMaxPages  = errors.New("the list has more pages than allowed")
	ErrElsewhere = errors.New("the next page is outside the API that was asked")
	ErrNoList    = errors.New("the answer holds no list")
	ErrTooLarge  = errors.New("the page is too large")
	ErrCursor    = errors.New("not a cursor of this list")
)

// Error is what ended a walk.
type Error struct {
	Page   int    // the page that could not be read, the first one of the walk being 1
	Cursor string // where to begin again, for From; empty: at the beginning
	Err    error
}

// Error tells the page and the cause. The cursor is left out: it may be long, and
// is a part of the provider's URL at some.
func (e *Error) Error() string { return fmt.Sprintf("page %d of the list: %v", e.Page, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// AnswerError is an answer that is no success. It comes inside an *Error.
type AnswerError struct {
	Status int
	Header http.Header
	Body   []byte // the first 64 KiB
}

// Error tells the status. What the body says is for the provider's dialect to
// read.
func (e *AnswerError) Error() string {
	return fmt.Sprintf("the provider answered %d %s", e.Status, http.StatusText(e.Status))
}

// Page is one page of a list.
type Page struct {
	Number int               // in this walk, from 1
	Items  []json.RawMessage // as they came
	Next   string            // cursor of the next page, for From; empty: this is the last one
	Header http.Header       // of the answer
	Body   json.RawMessage   // the answer as it came
}

// Do sends a request; it is the caller's client, and puts on the credential. The
// context is the request's.
type Do = func(*http.Request) (*http.Response, error)

// Option changes how a walk goes.
type Option func(*walk)

// From begins at a cursor that a Page or an Error told. It may come from outside:
// one that leads out of the API is refused.
func From(cursor string) Option { return func(w *walk) { w.at = cursor } }

// MaxPages bounds the walk; zero is 10,000. Where the list goes on after so many,
// the walk ends with ErrMaxPages.
func MaxPages(n int) Option {
	return func(w *walk) {
		if n > 0 {
			w.maxPages = n
		}
	}
}

// MaxBody bounds the bytes of one page; zero is 32 MiB.
func MaxBody(n int64) Option {
	return func(w *walk) {
		if n > 0 {
			w.maxBody = n
		}
	}
}

// Pages goes through a list from its first request. A page is asked for when the
// loop wants it; after an error, an *Error, nothing follows. The sequence may be
// gone through again, which asks the provider again. first is not changed; its
// body, if it has one, is read.
func Pages(ctx context.Context, style Style, first *http.Request, do Do, options ...Option) iter.Seq2[*Page, error] {
	start := walk{style: style, first: first, do: do, maxPages: DefaultMaxPages, maxBody: DefaultMaxBody}
	for _, o := range options {
		o(&start)
	}
	broken := start.prepare()
	return func(yield func(*Page, error) bool) {
		w := start
		w.seen = map[[sha256.Size]byte]bool{sha256.Sum256([]byte(w.at)): true}
		if broken != nil {
			yield(nil, &Error{Page: 1, Cursor: w.at, Err: broken})
			return
		}
		for number := 1; ; number++ {
			page, err := w.page(ctx, number)
			if err != nil {
				yield(nil, &Error{Page: number, Cursor: w.at, Err: err})
				return
			}
			if !yield(page, nil) || page.Next == "" {
				return
			}
			if err := w.advance(page, number); err != nil {
				yield(nil, &Error{Page: number + 1, Cursor: page.Next, Err: err})
				return
			}
		}
	}
}

// Items goes through the items of a list as Pages does through its pages.
func Items(ctx context.Context, style Style, first *http.Request, do Do, options ...Option) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for page, err := range Pages(ctx, style, first, do, options...) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// walk is one going through a list.
type walk struct {
	style    Style
	first    *http.Request
	body     []byte // of first
	do       Do
	maxPages int
	maxBody  int64

	at    string                     // cursor of the page to read; empty: as first asks
	seen  map[[sha256.Size]byte]bool // cursors, and pages where we count them
	field string                     // the member that holds the list, once found
}

// prepare checks what is known before the first request.
func (w *walk) prepare() error {
	if err := w.style.Check(); err != nil {
		return err
	}
	if w.first.Body == nil || w.first.Body == http.NoBody {
		return nil
	}
	defer w.first.Body.Close()
	var err error
	if w.body, err = io.ReadAll(io.LimitReader(w.first.Body, maxRequest+1)); err != nil {
		return fmt.Errorf("the request's body: %w", err)
	}
	if len(w.body) > maxRequest {
		return fmt.Errorf("the request's body is larger than %d bytes", maxRequest)
	}
	return nil
}

// page asks for the page at the cursor and reads it.
func (w *walk) page(ctx context.Context, number int) (*Page, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r, err := w.request(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := w.do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // what there is
		return nil, &AnswerError{Status: resp.StatusCode, Header: resp.Header, Body: body}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, w.maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer broke off: %w", err)
	case int64(len(body)) > w.maxBody:
		return nil, fmt.Errorf("%w: more than %d bytes; ask for fewer items a page", ErrTooLarge, w.maxBody)
	case resp.StatusCode == http.StatusNoContent:
		body = []byte("[]") // some answer so to an empty list
	case !json.Valid(body):
		return nil, fmt.Errorf("%w: it is no JSON", ErrNoList)
	}
	p := &Page{Number: number, Header: resp.Header, Body: body}
	if p.Items, err = w.items(gjson.ParseBytes(body)); err != nil {
		return nil, err
	}
	p.Next, err = w.next(r.URL, p)
	return p, err
}

// items finds the list in an answer.
func (w *walk) items(body gjson.Result) ([]json.RawMessage, error) {
	list := body
	switch {
	case w.style.Items != "":
		if list = body.Get(w.style.Items); !list.Exists() {
			return nil, fmt.Errorf("%w at %s", ErrNoList, w.style.Items)
		}
	case body.IsObject() && w.field != "":
		list = body.Get(gjson.Escape(w.field))
	case body.IsObject():
		found := lists(body)
		if len(found) != 1 {
			return nil, fmt.Errorf("%w that is the only one (found: %s); name it by items", ErrNoList, strings.Join(found, ", "))
		}
		w.field = found[0]
		list = body.Get(gjson.Escape(w.field))
	}
	switch {
	case list.Type == gjson.Null: // how some write an empty one, or leave it out
		return nil, nil
	case !list.IsArray():
		return nil, fmt.Errorf("%w where it was looked for", ErrNoList)
	}
	var out []json.RawMessage
	list.ForEach(func(_, item gjson.Result) bool {
		out = append(out, json.RawMessage(item.Raw))
		return true
	})
	return out, nil
}

// lists are the members of an object that are lists, at most ten of them.
func lists(body gjson.Result) []string {
	var found []string
	body.ForEach(func(name, v gjson.Result) bool {
		if v.IsArray() {
			found = append(found, name.Str)
		}
		return len(found) < 10
	})
	return found
}

// next is the cursor after a page; empty when it was the last one.
func (w *walk) next(asked *url.URL, p *Page) (string, error) {
	s := w.style
	body := gjson.ParseBytes(p.Body)
	if s.More != "" && body.Get(s.More).Type == gjson.False {
		return "", nil
	}
	switch s.Kind {
	case LinkHeader:
		return w.follow(asked, nextLink(p.Header["Link"]))
	case NextURL:
		v := body.Get(s.Next)
		if v.Type != gjson.String && v.Type != gjson.Null && v.Type != gjson.False {
			return "", fmt.Errorf("%w: there is no URL at %s", ErrCursor, s.Next)
		}
		return w.follow(asked, v.Str)
	case Cursor:
		return scalar(body.Get(s.Next), s.Next)
	}
	if len(p.Items) == 0 {
		return "", nil
	}
	if s.Kind == CursorByID {
		last := gjson.ParseBytes(p.Items[len(p.Items)-1])
		id, err := scalar(last.Get(s.id()), s.id())
		if err == nil && id == "" {
			err = fmt.Errorf("%w: the last item has no %s", ErrCursor, s.id())
		}
		return id, err
	}
	at, err := w.number()
	if err != nil {
		return "", err
	}
	total, hasTotal := int64(0), false
	if v := body.Get(s.Total); s.Total != "" && v.Type == gjson.Number {
		total, hasTotal = v.Int(), true
	}
	next, done := at+1, at+1-int64(s.First)
	if s.Kind == Offset {
		next = at + int64(len(p.Items))
		done = next
	}
	if hasTotal && done >= total {
		return "", nil
	}
	return strconv.FormatInt(next, 10), nil
}

// scalar is a cursor in a body: a text, or a number as it was written. Null,
// false and nothing are the end.
func scalar(v gjson.Result, path string) (string, error) {
	switch v.Type {
	case gjson.String:
		return v.Str, nil
	case gjson.Number:
		return v.Raw, nil
	case gjson.Null, gjson.False:
		return "", nil
	}
	return "", fmt.Errorf("%w: what stands at %s is neither text nor number", ErrCursor, path)
}

// advance moves on to the next page, unless the walk would go in circles or too
// far.
func (w *walk) advance(p *Page, number int) error {
	if number >= w.maxPages {
		return fmt.Errorf("%w (%d)", ErrMaxPages, w.maxPages)
	}
	marks := [][]byte{[]byte(p.Next)}
	if w.style.counted() {
		marks = [][]byte{joined(p.Items)}
	}
	for _, mark := range marks {
		sum := sha256.Sum256(mark)
		if w.seen[sum] {
			return ErrRepeated
		}
		w.seen[sum] = true
	}
	w.at = p.Next
	return nil
}
