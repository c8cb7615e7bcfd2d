package cache

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever a query holds: its normal form does not depend on the order of
// differently named parameters, and says the same as the query does.
func FuzzKey(f *testing.F) {
	f.Add("t1", "/v1/things", "b=2&a=1&a=0", "Accept", "application/json")
	f.Add("", "/%2e%2e/%2F", "expand[]=a&expand[]=b&a[0][x]=%zz", "X-\x00", "\r\n")
	f.Add("t\x00", "//", "a&a=&=&&=a;b", "Sallyport-X", "")
	f.Fuzz(func(t *testing.T, tenant, path, query, name, value string) {
		u := &url.URL{Scheme: "https", Host: "api.example.com", Path: path, RawQuery: query}
		r := &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{name: {value}}}
		k := keyOf(r, tenant)
		if keyOf(r, tenant) != k {
			t.Fatal("one question, two keys")
		}
		if keyOf(r, tenant+"x") == k {
			t.Fatal("two tenants, one key")
		}
		normal := normalQuery(query)
		again := normalQuery(strings.Join(normal, "&"))
		if !slices.Equal(normal, again) {
			t.Fatalf("%q is normal and becomes %q", normal, again)
		}
		had, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		has, err := url.ParseQuery(strings.Join(normal, "&"))
		if err != nil || len(had) != len(has) {
			t.Fatalf("%q became %q: %v", query, normal, err)
		}
		for n, vs := range had {
			if !slices.Equal(vs, has[n]) {
				t.Fatalf("%q became %q", query, normal)
			}
		}
		p := placeOf(tenant, u)
		if owner(p.home) != tenant {
			t.Fatalf("the place of %q is %q's", tenant, owner(p.home))
		}
	})
}

func FuzzCacheControl(f *testing.F) {
	for _, s := range []string{"no-store", "private, max-age=60", `max-age="5", no-cache="a, no-store"`, "max-age=99999999999999999999", `a="\",no-store"`, "=,;=", `max-age=-1`} {
		f.Add(s, "0")
	}
	f.Fuzz(func(t *testing.T, line, more string) {
		one := parseControl([]string{line})
		both := parseControl([]string{line, more})
		if one.noStore && !both.noStore || one.noCache && !both.noCache || one.hasMaxAge && (!both.hasMaxAge || both.maxAge > one.maxAge) {
			t.Fatalf("a second line made %q milder: %+v, %+v", line, one, both)
		}
		if one.maxAge < 0 || one.maxAge > maxDelta*time.Second {
			t.Fatalf("max-age %s", one.maxAge)
		}
		now := time.Unix(1_800_000_000, 0)
		h := http.Header{"Cache-Control": {line}, "Expires": {more}, "Date": {line}, "Age": {more}}
		if d, _ := lifetime(h, one, now); d < 0 {
			t.Fatalf("lifetime %s", d)
		}
		if age := initialAge(h, now); age < 0 {
			t.Fatalf("age %s", age)
		}
	})
}

func TestParseControl(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]control{
		"":                                  {},
		"No-Store":                          {noStore: true},
		`private="no-store, no-cache", x=y`: {},
		`a="\", no-store", no-cache`:        {noCache: true},
		`max-age="5"`:                       {maxAge: 5 * time.Second, hasMaxAge: true},
		"max-age=5, MAX-AGE = 3":            {maxAge: 3 * time.Second, hasMaxAge: true},
		"max-age":                           {hasMaxAge: true},
		"max-age=1.5":                       {hasMaxAge: true},
		"max-age=-1":                        {hasMaxAge: true},
		"max-age=99999999999999999999":      {maxAge: maxDelta * time.Second, hasMaxAge: true},
		", ,no-cache=\"set-cookie\",":       {noCache: true},
	} {
		if got := parseControl([]string{line}); got != want {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
}

// The index against a plain list, whatever is added, removed and asked.
func TestIndex(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := index{}
		model := map[key]place{}
		paths := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 4)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			p := place{home: rapid.SampledFrom([]string{"h", "i"}).Draw(t, "home"), path: paths.Draw(t, "path")}
			k := key{byte(rapid.IntRange(0, 9).Draw(t, "key"))}
			switch old, has := model[k]; {
			case has && rapid.Bool().Draw(t, "remove"):
				x.remove(old, k)
				delete(model, k)
			case !has:
				x.add(p, k)
				model[k] = p
			}
			want := map[key]bool{}
			for k, q := range model {
				if p.touches(q) {
					want[k] = true
				}
			}
			got := x.touched(p)
			for _, k := range got {
				if !want[k] {
					t.Fatalf("%v is touched by %v", model[k], p)
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%d touched, want %d", len(got), len(want))
			}
		}
		for k, p := range model {
			x.remove(p, k)
		}
		if len(x) != 0 {
			t.Fatalf("branches are left: %v", x)
		}
	})
}

func TestRemoveWhatIsNotThere(t *testing.T) {
	t.Parallel()
	x := index{}
	x.add(place{"h", []string{"a"}}, key{1})
	x.remove(place{"i", []string{"a"}}, key{1})
	x.remove(place{"h", []string{"a", "b"}}, key{1})
	x.remove(place{"h", nil}, key{1})
	if got := x.touched(place{"h", nil}); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
