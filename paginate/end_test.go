package paginate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/paginate"
)

// What must end a walk with an error, and where it can go on.
func TestEndsWithAnError(t *testing.T) {
	t.Parallel()
	byURL := paginate.Style{Kind: paginate.NextURL, Next: "next", Items: "data", Base: "/v1"}
	next := func(url string) func(http.ResponseWriter, *http.Request, []byte) {
		return func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			_ = json.NewEncoder(w).Encode(map[string]any{"next": url, "data": []int{1}})
		}
	}
	text := func(s string) func(http.ResponseWriter, *http.Request, []byte) {
		return func(w http.ResponseWriter, _ *http.Request, _ []byte) { fmt.Fprint(w, s) }
	}
	for name, c := range map[string]struct {
		style    paginate.Style
		answer   func(http.ResponseWriter, *http.Request, []byte)
		options  []paginate.Option
		want     error
		requests int
	}{
		"another host":          {byURL, next("https://evil.example/v1/x"), nil, paginate.ErrElsewhere, 1},
		"another host, short":   {byURL, next("//evil.example/v1/x"), nil, paginate.ErrElsewhere, 1},
		"userinfo":              {byURL, next("https://a:b@evil.example/v1/x"), nil, paginate.ErrElsewhere, 1},
		"another scheme":        {byURL, next("file:///v1/x"), nil, paginate.ErrElsewhere, 1},
		"opaque":                {byURL, next("mailto:a@b"), nil, paginate.ErrElsewhere, 1},
		"another base":          {byURL, next("/v2/x"), nil, paginate.ErrElsewhere, 1},
		"a base like ours":      {byURL, next("/v1x"), nil, paginate.ErrElsewhere, 1},
		"dots":                  {byURL, next("/v1/../v2/x"), nil, paginate.ErrElsewhere, 1},
		"escaped dots":          {byURL, next("/v1/%2e%2e/v2"), nil, paginate.ErrElsewhere, 1},
		"escaped dots, slash":   {byURL, next("/v1/..%2fv2"), nil, paginate.ErrElsewhere, 1},
		"backslash":             {byURL, next(`/v1/\evil.example`), nil, paginate.ErrElsewhere, 1},
		"line break":            {byURL, next("/v1/a\r\nHost: evil.example"), nil, paginate.ErrElsewhere, 1},
		"no URL":                {byURL, text(`{"next":{"a":1},"data":[]}`), nil, paginate.ErrCursor, 1},
		"from elsewhere":        {byURL, next(""), []paginate.Option{paginate.From("https://evil.example/v1/x")}, paginate.ErrElsewhere, 0},
		"the same page":         {byURL, next("/v1/x"), nil, paginate.ErrRepeated, 2},
		"the same cursor":       {paginate.Style{Kind: paginate.Cursor, Param: "c", Next: "next", Items: "data"}, next("x"), nil, paginate.ErrRepeated, 2},
		"a page that is a wall": {paginate.Style{Kind: paginate.PageNumber, Param: "page"}, text(`[1]`), nil, paginate.ErrRepeated, 2},
		"a strange cursor":      {paginate.Style{Kind: paginate.Cursor, Param: "c", Next: "next", Items: "data"}, text(`{"next":[1],"data":[]}`), nil, paginate.ErrCursor, 1},
		"no id":                 {paginate.Style{Kind: paginate.CursorByID, Param: "after"}, text(`[{}]`), nil, paginate.ErrCursor, 1},
		"a cursor for a number": {paginate.Style{Kind: paginate.Offset, Param: "o"}, text(`[]`), []paginate.Option{paginate.From("x")}, paginate.ErrCursor, 0},
		"no list":               {paginate.Style{Kind: paginate.LinkHeader}, text(`{"a":1}`), nil, paginate.ErrNoList, 1},
		"two lists":             {paginate.Style{Kind: paginate.LinkHeader}, text(`{"a":[],"b":[]}`), nil, paginate.ErrNoList, 1},
		"no list at its path":   {byURL, text(`{"next":null}`), nil, paginate.ErrNoList, 1},
		"another type":          {byURL, text(`{"next":null,"data":{}}`), nil, paginate.ErrNoList, 1},
		"no JSON":               {byURL, text(`<html>`), nil, paginate.ErrNoList, 1},
		"deep JSON":             {byURL, text(strings.Repeat("[", 1_000_000)), nil, paginate.ErrNoList, 1},
		"too large":             {byURL, text(`{"data":[1,2,3]}`), []paginate.Option{paginate.MaxBody(10)}, paginate.ErrTooLarge, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.answer)
			var got error
			for page, err := range paginate.Pages(t.Context(), c.style, get(t, s.URL+"/v1/things"), http.DefaultClient.Do, c.options...) {
				if got != nil {
					t.Fatalf("after the error came %v, %v", page, err)
				}
				got = err
			}
			var e *paginate.Error
			if !errors.Is(got, c.want) || !errors.As(got, &e) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if n := len(s.requests()); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
		})
	}
}

// A provider behind a proxy writes http for its own https: the request stays what
// the first one was.
func TestSchemeIsNotTaken(t *testing.T) {
	t.Parallel()
	var asked []string
	do := func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.String())
		h := http.Header{}
		if len(asked) == 1 {
			h.Set("Link", `<http://API.example.com:80/things?page=2>; rel=next`)
		}
		return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(strings.NewReader("[]"))}, nil
	}
	for _, err := range paginate.Pages(t.Context(), paginate.Style{Kind: paginate.LinkHeader}, get(t, "https://api.example.com/things"), do) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(asked, " "); got != "https://api.example.com/things https://api.example.com/things?page=2" {
		t.Errorf("asked %s", got)
	}
}

func TestMaxPagesSaysWhereToGoOn(t *testing.T) {
	t.Parallel()
	s := serve(t, styles[0].answer)
	first := get(t, s.URL+styles[0].path)
	ids, err := collect(t.Context(), styles[0].style, first, paginate.MaxPages(2))
	var e *paginate.Error
	if ids != "i0 i1 i2 i3" || !errors.Is(err, paginate.ErrMaxPages) || !errors.As(err, &e) || e.Page != 3 {
		t.Fatalf("%q, %v", ids, err)
	}
	if ids, err = collect(t.Context(), styles[0].style, first, paginate.From(e.Cursor), paginate.MaxPages(2)); err != nil || ids != "i4 i5 i6" {
		t.Errorf("%q, %v", ids, err)
	}
}

func TestAnswerThatIsNoSuccess(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		if r.URL.Query().Get("cursor") != "" {
			w.Header().Set("Retry-After", "7")
			http.Error(w, "slow down", http.StatusTooManyRequests)
			return
		}
		styles[0].answer(w, r, body)
	})
	ids, err := collect(t.Context(), styles[0].style, get(t, s.URL+"/"))
	var answer *paginate.AnswerError
	var e *paginate.Error
	if ids != "i0 i1" || !errors.As(err, &answer) || answer.Status != 429 || answer.Header.Get("Retry-After") != "7" || string(answer.Body) != "slow down\n" {
		t.Fatalf("%q, %v", ids, err)
	}
	if !errors.As(err, &e) || e.Page != 2 || e.Cursor != "c=2" {
		t.Errorf("%+v", e)
	}
}

func TestStopsWithItsCaller(t *testing.T) {
	t.Parallel()
	s := serve(t, styles[0].answer)
	for _, err := range paginate.Items(t.Context(), styles[0].style, get(t, s.URL+"/"), http.DefaultClient.Do) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if n := len(s.requests()); n != 1 {
		t.Errorf("%d requests for one item", n)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := collect(ctx, styles[0].style, get(t, s.URL+"/")); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if n := len(s.requests()); n != 1 {
		t.Error("asked after its end")
	}
}
