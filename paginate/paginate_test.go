package paginate_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/paginate"
)

// server is a provider with seven items, two a page, in one style. It notes what
// it was asked.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

const seven = 7

func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, body []byte)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		s.mu.Unlock()
		answer(w, r, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// slice is items from to to of the seven, as JSON.
func slice(from, to int) string {
	var out []string
	for n := max(from, 0); n < min(to, seven); n++ {
		out = append(out, fmt.Sprintf(`{"id":"i%d"}`, n))
	}
	return "[" + strings.Join(out, ",") + "]"
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// collect goes through a list and returns the ids.
func collect(ctx context.Context, style paginate.Style, first *http.Request, options ...paginate.Option) (string, error) {
	var ids []string
	for item, err := range paginate.Items(ctx, style, first, http.DefaultClient.Do, options...) {
		if err != nil {
			return strings.Join(ids, " "), err
		}
		ids = append(ids, gjson.GetBytes(item, "id").String())
	}
	return strings.Join(ids, " "), nil
}

const all = "i0 i1 i2 i3 i4 i5 i6"

func atoi(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

var styles = []struct {
	name   string
	style  paginate.Style
	path   string // and query of the first request
	answer func(w http.ResponseWriter, r *http.Request, body []byte)
	asked  []string
}{
	{
		name: "cursor in the body", path: "/v1/things?limit=2&q=a%20b",
		style: paginate.Style{Kind: paginate.Cursor, Param: "cursor", Next: "meta.next"},
		answer: func(w http.ResponseWriter, r *http.Request, _ []byte) {
			at := atoi(strings.TrimPrefix(r.URL.Query().Get("cursor"), "c="), 0)
			next := "null"
			if at+2 < seven {
				next = fmt.Sprintf(`"c=%d"`, at+2)
			}
			fmt.Fprintf(w, `{"meta":{"next":%s},"things":%s}`, next, slice(at, at+2))
		},
		asked: []string{"/v1/things?limit=2&q=a%20b", "/v1/things?limit=2&q=a%20b&cursor=c%3D2", "/v1/things?limit=2&q=a%20b&cursor=c%3D4", "/v1/things?limit=2&q=a%20b&cursor=c%3D6"},
	},
	{
		name: "cursor that is a large number", path: "/things",
		style: paginate.Style{Kind: paginate.Cursor, Param: "after", Next: "next", Items: "a.list", More: "more"},
		answer: func(w http.ResponseWriter, r *http.Request, _ []byte) {
			if r.URL.Query().Get("after") == "" {
				fmt.Fprintf(w, `{"next":12345678901234567890,"more":true,"other":[],"a":{"list":%s}}`, slice(0, 4))
				return
			}
			fmt.Fprintf(w, `{"next":12345678901234567891,"more":false,"other":[],"a":{"list":%s}}`, slice(4, 7))
		},
		asked: []string{"/things", "/things?after=12345678901234567890"},
	},
	{
		name: "id of the last item", path: "/things",
		style: paginate.Style{Kind: paginate.CursorByID, Param: "starting_after", Items: "data"},
		answer: func(w http.ResponseWriter, r *http.Request, _ []byte) {
			at := atoi(strings.TrimPrefix(r.URL.Query().Get("starting_after"), "i"), -1) + 1
			fmt.Fprintf(w, `{"data":%s}`, slice(at, at+3))
		},
		asked: []string{"/things", "/things?starting_after=i2", "/things?starting_after=i5", "/things?starting_after=i6"},
	},
	{
		name: "Link header", path: "/things?page=1",
		style: paginate.Style{Kind: paginate.LinkHeader},
		answer: func(w http.ResponseWriter, r *http.Request, _ []byte) {
			n := atoi(r.URL.Query().Get("page"), 1)
			if n < 3 {
				w.Header().Add("Link", fmt.Sprintf(`<http://%s/things?page=%d&x=1>; rel="next", </things>; rel=first`, r.Host, n+1))
			}
			fmt.Fprint(w, slice((n-1)*3, n*3))
		},
		asked: []string{"/things?page=1", "/things?page=2&x=1", "/things?page=3&x=1"},
	},
	{
		name: "next URL in the body, relative", path: "/v1/things",
		style: paginate.Style{Kind: paginate.NextURL, Next: "links.next", Base: "/v1", Strip: []string{"key"}},
		answer: func(w http.ResponseWriter, r *http.Request, _ []byte) {
			if r.URL.Query().Get("token") == "" {
				fmt.Fprintf(w, `{"links":{"next":"/v1/things/more?token=a%%2Fb&key=s3cr3t"},"data":%s}`, slice(0, 4))
				return
			}
			fmt.Fprintf(w, `{"links":{},"data":%s}`, slice(4, 7))
		},
		asked: []string{"/v1/things", "/v1/things/more?token=a%2Fb"},
	},
	{
		name: "page number", path: "/things?size=3",
		style: paginate.Style{Kind: paginate.PageNumber, Param: "page", First: 1},
		answer: func(w http.ResponseWriter, r *http.Request, _ []byte) {
			n := atoi(r.URL.Query().Get("page"), 1)
			fmt.Fprint(w, slice((n-1)*3, n*3))
		},
		asked: []string{"/things?size=3", "/things?size=3&page=2", "/things?size=3&page=3", "/things?size=3&page=4"},
	},
	{
		name: "page number from zero, with the number of pages", path: "/things?page=0",
		style: paginate.Style{Kind: paginate.PageNumber, Param: "page", Total: "pages"},
		answer: func(w http.ResponseWriter, r *http.Request, _ []byte) {
			n := atoi(r.URL.Query().Get("page"), 0)
			fmt.Fprintf(w, `{"pages":3,"list":%s}`, slice(n*3, n*3+3))
		},
		asked: []string{"/things?page=0", "/things?page=1", "/things?page=2"},
	},
	{
		name: "offset, shorter pages than asked for, with the total", path: "/things?limit=100&offset=0",
		style: paginate.Style{Kind: paginate.Offset, Param: "offset", Total: "total"},
		answer: func(w http.ResponseWriter, r *http.Request, _ []byte) {
			at := atoi(r.URL.Query().Get("offset"), 0)
			fmt.Fprintf(w, `{"total":7,"list":%s}`, slice(at, at+5))
		},
		asked: []string{"/things?limit=100&offset=0", "/things?limit=100&offset=5"},
	},
	{
		name: "offset to the first empty page", path: "/things",
		style: paginate.Style{Kind: paginate.Offset, Param: "offset", Items: "list"},
		answer: func(w http.ResponseWriter, r *http.Request, _ []byte) {
			at := atoi(r.URL.Query().Get("offset"), 0)
			if at >= seven {
				fmt.Fprint(w, `{"list":null}`)
				return
			}
			fmt.Fprintf(w, `{"list":%s}`, slice(at, at+4))
		},
		asked: []string{"/things", "/things?offset=4", "/things?offset=7"},
	},
}

// R4.15: every style in which lists continue.
func TestStyles(t *testing.T) {
	t.Parallel()
	for _, c := range styles {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.answer)
			first := get(t, s.URL+c.path)
			first.Header.Set("Accept", "application/json")
			for range 2 { // the second time as the first
				ids, err := collect(t.Context(), c.style, first)
				if err != nil || ids != all {
					t.Fatalf("got %q, %v", ids, err)
				}
			}
			want := make([]string, 0, 2*len(c.asked))
			for range 2 {
				for _, a := range c.asked {
					want = append(want, "GET "+a)
				}
			}
			if got := s.requests(); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("asked\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if first.URL.RequestURI() != c.path {
				t.Errorf("the first request was changed to %s", first.URL)
			}
		})
	}
}

// Taking the list up again at any cursor gives what is left, in every style.
func TestResume(t *testing.T) {
	t.Parallel()
	for _, c := range styles {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.answer)
			read := 0
			for page, err := range paginate.Pages(t.Context(), c.style, get(t, s.URL+c.path), http.DefaultClient.Do) {
				if err != nil {
					t.Fatal(err)
				}
				if read += len(page.Items); page.Next == "" {
					continue
				}
				ids, err := collect(t.Context(), c.style, get(t, s.URL+c.path), paginate.From(page.Next))
				if want := strings.Join(strings.Fields(all)[read:], " "); err != nil || ids != want {
					t.Errorf("from %q: %q, %v; want %q", page.Next, ids, err, want)
				}
			}
		})
	}
}

// The cursor of a list that is asked for by POST goes into the body.
func TestCursorInTheRequestsBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, body, asked string }{
		{"application/json", `{"filter":{"a":1.50}}`, `{"filter":{"a":1.50},"start_cursor":"c1"}`},
		{"application/json", "", `{"start_cursor":"c1"}`},
		{"application/x-www-form-urlencoded", "a=1&start_cursor=old", "a=1&start_cursor=c1"},
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request, body []byte) {
			if strings.Contains(string(body), "c1") {
				fmt.Fprint(w, `{"results":[2],"next":null}`)
				return
			}
			fmt.Fprint(w, `{"results":[1],"next":"c1"}`)
		})
		first, err := http.NewRequest(http.MethodPost, s.URL+"/query", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		first.Header.Set("Content-Type", c.kind)
		var got []string
		for item, err := range paginate.Items(t.Context(), paginate.Style{Kind: paginate.Cursor, Param: "start_cursor", Next: "next"}, first, http.DefaultClient.Do) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(item))
		}
		asked := s.requests()
		if strings.Join(got, " ") != "1 2" || len(asked) != 2 || asked[0] != strings.TrimSpace("POST /query "+c.body) || asked[1] != "POST /query "+c.asked {
			t.Errorf("got %v, asked %q", got, asked)
		}
	}
}

// R4.15, with the facts that the catalog declares.
func TestDeclaredStyles(t *testing.T) {
	t.Parallel()
	for provider, c := range map[string]struct {
		path   string
		answer func(w http.ResponseWriter, r *http.Request, _ []byte)
		asked  []string
	}{
		"stripe": {"/v1/customers?limit=3", func(w http.ResponseWriter, r *http.Request, _ []byte) {
			at := atoi(strings.TrimPrefix(r.URL.Query().Get("starting_after"), "i"), -1) + 1
			fmt.Fprintf(w, `{"object":"list","url":"/v1/customers","has_more":%t,"data":%s}`, at+3 < seven, slice(at, at+3))
		}, []string{"/v1/customers?limit=3", "/v1/customers?limit=3&starting_after=i2", "/v1/customers?limit=3&starting_after=i5"}},
		"github": {"/repos/o/r/issues?per_page=3", func(w http.ResponseWriter, r *http.Request, _ []byte) {
			n := atoi(r.URL.Query().Get("page"), 1)
			if n < 3 {
				w.Header().Set("Link", fmt.Sprintf(`<http://%[1]s/repositories/1/issues?per_page=3&page=%[2]d>; rel="next", <http://%[1]s/repositories/1/issues?per_page=3&page=3>; rel="last"`, r.Host, n+1))
			}
			fmt.Fprint(w, slice((n-1)*3, n*3))
		}, []string{"/repos/o/r/issues?per_page=3", "/repositories/1/issues?per_page=3&page=2", "/repositories/1/issues?per_page=3&page=3"}},
		"slack": {"/api/conversations.list?limit=4", func(w http.ResponseWriter, r *http.Request, _ []byte) {
			if r.URL.Query().Get("cursor") == "" {
				fmt.Fprintf(w, `{"ok":true,"channels":%s,"response_metadata":{"next_cursor":"dGVhbTpDMDYxRkE1UEI="}}`, slice(0, 4))
				return
			}
			fmt.Fprintf(w, `{"ok":true,"channels":%s,"response_metadata":{"next_cursor":""}}`, slice(4, 7))
		}, []string{"/api/conversations.list?limit=4", "/api/conversations.list?limit=4&cursor=dGVhbTpDMDYxRkE1UEI%3D"}},
	} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			profile, err := catalog.Load(provider)
			if err != nil {
				t.Fatal(err)
			}
			style, err := paginate.Of(profile)
			if err != nil {
				t.Fatal(err)
			}
			s := serve(t, c.answer)
			ids, err := collect(t.Context(), style, get(t, s.URL+c.path))
			if err != nil || ids != all {
				t.Errorf("got %q, %v", ids, err)
			}
			if got, want := strings.Join(s.requests(), "\n"), "GET "+strings.Join(c.asked, "\nGET "); got != want {
				t.Errorf("asked\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestOfSaysWhatAProfileLacks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		facts catalog.Pagination
		want  string
	}{
		{catalog.Pagination{}, "no style"},
		{catalog.Pagination{Style: "cursor", Param: "c"}, "needs cursor"},
		{catalog.Pagination{Style: "cursor_by_id"}, "needs param"},
		{catalog.Pagination{Style: "next_url"}, "needs cursor"},
		{catalog.Pagination{Style: "spiral"}, "unknown"},
	} {
		_, err := paginate.Of(&catalog.Profile{ID: "acme", Pagination: c.facts})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "acme") {
			t.Errorf("%+v: %v", c.facts, err)
		}
	}
	zero := 0
	style, err := paginate.Of(&catalog.Profile{
		API: catalog.API{BaseURL: "https://api.acme.example/v2/"}, Auth: []catalog.Auth{{Kind: "api_key", In: "query", Name: "api_key"}},
		Pagination: catalog.Pagination{Style: "page", Param: "page", First: &zero},
	})
	if err != nil || style.First != 0 || style.Base != "/v2" || len(style.Strip) != 1 {
		t.Errorf("%+v, %v", style, err)
	}
}
