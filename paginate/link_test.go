package paginate_test

import (
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/paginate"
)

// RFC 8288, and what providers send.
func TestParseLinks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		lines []string
		want  []paginate.Link
	}{
		{"GitHub", []string{`<https://api.github.com/x?page=2>; rel="next", <https://api.github.com/x?page=5>; rel="last"`}, []paginate.Link{
			{URL: "https://api.github.com/x?page=2", Rel: []string{"next"}, Params: map[string]string{}},
			{URL: "https://api.github.com/x?page=5", Rel: []string{"last"}, Params: map[string]string{}},
		}},
		{"comma and semicolon inside", []string{`<https://a/x?f=a,b;c>;rel=next;title="a, b; c \"d\""`}, []paginate.Link{
			{URL: "https://a/x?f=a,b;c", Rel: []string{"next"}, Params: map[string]string{"title": `a, b; c "d"`}},
		}},
		{"several lines, several relations, spaces", []string{`</a> ; REL = "Prev  NEXT"`, `,, </b>;rel=first,`}, []paginate.Link{
			{URL: "/a", Rel: []string{"prev", "next"}, Params: map[string]string{}},
			{URL: "/b", Rel: []string{"first"}, Params: map[string]string{}},
		}},
		{"the first of two counts", []string{`</a>; rel=self; rel=next; x=1; x=2; flag`}, []paginate.Link{
			{URL: "/a", Rel: []string{"self"}, Params: map[string]string{"x": "1", "flag": ""}},
		}},
		{"about something else", []string{`</a>; rel=next; anchor="#b", </c>; rel=next`}, []paginate.Link{
			{URL: "/c", Rel: []string{"next"}, Params: map[string]string{}},
		}},
		{"broken", []string{`</a>; rel=next, b; rel=next, </c>`, `<`, `</d`, `</e> x`, ``, `</f>; title="open`}, []paginate.Link{
			{URL: "/a", Rel: []string{"next"}, Params: map[string]string{}},
			{URL: "/f", Params: map[string]string{"title": "open"}},
		}},
	} {
		if got := paginate.ParseLinks(c.lines); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := paginate.ParseLinks([]string{strings.Repeat("<a>,", 100_000)}); len(got) > 100 {
		t.Errorf("%d links were read", len(got))
	}
}

// Sentry links to a next page that it says is empty.
func TestLinkWithoutResults(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
		w.Header().Set("Link", `<http://`+r.Host+`/x?cursor=0:100:0>; rel="next"; results="false"; cursor="0:100:0"`)
		_, _ = io.WriteString(w, slice(0, 7))
	})
	ids, err := collect(t.Context(), paginate.Style{Kind: paginate.LinkHeader}, get(t, s.URL+"/x"))
	if err != nil || ids != all || len(s.requests()) != 1 {
		t.Errorf("%q, %v, %v", ids, err, s.requests())
	}
}

func FuzzParseLinks(f *testing.F) {
	f.Add(`<https://api.github.com/x?page=2>; rel="next", <https://api.github.com/x?page=5>; rel="last"`)
	f.Add(`</a>;rel=next;title="a, b; c \"d\"";anchor="#x"`)
	f.Add(`<>;;,<<>>;rel="`)
	f.Add(`</a>; rel="\`)
	f.Fuzz(func(t *testing.T, line string) {
		for _, l := range paginate.ParseLinks([]string{line, line}) {
			if !strings.Contains(line, l.URL) || strings.Contains(l.URL, ">") {
				t.Fatalf("%q is no target in %q", l.URL, line)
			}
		}
	})
}

// Wherever the provider says that the list goes on, the requests stay at its host
// and below its base.
func FuzzNextStaysAtHome(f *testing.F) {
	for _, s := range []string{"/v1/x", "//evil/v1/", "https://evil/v1", "https://api.example.com/v1/../v2", "/v1/%2e%2e/v2", `\\evil\v1`, "/v1/..;/x", "?a=b", "", "https://api.example.com@evil/v1/", "/v1//evil"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		first, err := http.NewRequest(http.MethodGet, "https://api.example.com/v1/things", nil)
		if err != nil {
			t.Fatal(err)
		}
		do := func(r *http.Request) (*http.Response, error) {
			decoded, err := url.PathUnescape(r.URL.EscapedPath())
			if err != nil || r.URL.Scheme != "https" || r.URL.Host != "api.example.com" || r.URL.User != nil ||
				decoded != "/v1" && !strings.HasPrefix(decoded, "/v1/") || strings.Contains(decoded, "/../") || strings.HasSuffix(decoded, "/..") {
				t.Fatalf("asked %s", r.URL)
			}
			h := http.Header{"Link": {"<" + next + ">; rel=next"}}
			return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(strings.NewReader("[]"))}, nil
		}
		style := paginate.Style{Kind: paginate.LinkHeader, Base: "/v1"}
		for _, from := range []string{"", next} {
			for page, err := range paginate.Pages(t.Context(), style, first, do, paginate.From(from), paginate.MaxPages(3)) {
				if (page == nil) == (err == nil) {
					t.Fatalf("page %v, error %v", page, err)
				}
			}
		}
	})
}
