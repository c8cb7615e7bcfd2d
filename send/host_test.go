package send

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// Design decision 8: a host has one spelling. Those that a resolver, a browser
// or a C library would read as an address are refused before anything is asked.
func TestHostSpelling(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"api.example.com", "API.example.com", "api.example.com:8443", "localhost:4010", "stripe.localhost", "127.0.0.1", "127.0.0.1:4010",
		"[::1]:4010", "[2606:4700::1111]", "xn--bcher-kva.example", "api_internal.example", "10.example", "a.0x1g",
	} {
		if _, err := New(Config{Hosts: []string{host}}); err != nil {
			t.Errorf("%s is refused: %v", host, err)
		}
	}
	for name, host := range map[string]string{
		"decimal":               "2130706433",
		"octal":                 "0177.0.0.1",
		"hexadecimal":           "0x7f000001",
		"hexadecimal in parts":  "0x7f.0.0.0x1",
		"nothing after 0x":      "127.0.0.0x",
		"short":                 "127.1",
		"three parts":           "127.0.1",
		"leading zeros":         "127.000.000.001",
		"too large":             "256.0.0.1",
		"a dot at the end":      "api.example.com.",
		"an address with a dot": "127.0.0.1.",
		"two dots":              "api..example.com",
		"fullwidth digits":      "１２７.０.０.１",
		"circled digits":        "①②⑦.0.0.1",
		"fullwidth dot":         "127．0．0．1",
		"ideographic dot":       "api。example.com",
		"other letters":         "bücher.example",
		"a Cyrillic look-alike": "аpi.example.com",
		"a zone":                "[fe80::1%25eth0]",
		"a user":                "api.example.com@127.0.0.1",
		"a user and password":   "u:p@api.example.com",
		"a line break":          "api.example.com\r\nX: y",
		"an escape":             "api.example.com%0d%0a",
		"a space":               "api.example.com evil.test",
		"a backslash":           `api.example.com\@evil.test`,
		"a path":                "api.example.com/v1",
		"a question":            "api.example.com?x",
		"a fragment":            "api.example.com#x",
		"a label too long":      strings.Repeat("a", 64) + ".test",
		"too long":              strings.Repeat("a.", 127) + "test",
		"only a port":           ":443",
		"no bracket":            "::1",
	} {
		if _, err := New(Config{Hosts: []string{host}}); err == nil {
			t.Errorf("%s: %q was taken", name, host)
		}
	}
}

// What passes for a host is one name in ASCII or one address, and what a
// request may go to is on the list, letter for letter.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"api.example.com", "2130706433", "0177.0.0.1", "127.1", "0x7f.1", "[::ffff:127.0.0.1]:80", "[fe80::1%25en0]", "a@b", "api.example.com:443",
		"api.example.com.", "１２７.０.０.１", "xn--a", "a\r\nb", "", ":", "[", "//", "api.example.com:", "api.example.com:0443", `a\b`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if u, err := parseHost(host); err == nil {
			name := u.Hostname()
			if _, err := netip.ParseAddr(name); err != nil {
				if strings.ContainsAny(name, "@/\\?#%[]: \r\n\t") || strings.ContainsFunc(name, func(r rune) bool { return r > 0x7e || r < 0x21 }) {
					t.Errorf("%q passes for a name", name)
				}
				if last := name[strings.LastIndexByte(name, '.')+1:]; last == "" || strings.Trim(last, "0123456789") == "" {
					t.Errorf("%q may be read as an address", name)
				}
			}
		}
		s, err := New(Config{Hosts: []string{"api.example.com", "127.0.0.1:4010"}, AllowPrivate: true})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse("https://" + host)
		if err != nil {
			return
		}
		if s.allowed(&http.Request{URL: u}) == nil && !strings.EqualFold(u.Hostname(), "api.example.com") && u.Host != "127.0.0.1:4010" {
			t.Errorf("%q may be called", u)
		}
	})
}

// A request may not say one host and go to another, or hide where it goes.
func TestRequestTricks(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Hosts: []string{"api.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	ok := url.URL{Scheme: "https", Host: "api.example.com", Path: "/v1/x"}
	for name, change := range map[string]func(*http.Request){
		"userinfo":              func(r *http.Request) { r.URL.User = url.UserPassword("a", "b") },
		"userinfo in the host":  func(r *http.Request) { r.URL.Host = "api.example.com@evil.test" },
		"a host after a hash":   func(r *http.Request) { r.URL.Host = "evil.test#api.example.com" },
		"a host after a slash":  func(r *http.Request) { r.URL.Host = `evil.test\api.example.com` },
		"opaque":                func(r *http.Request) { r.URL.Opaque = "//evil.test/v1/x" },
		"no URL":                func(r *http.Request) { r.URL = nil },
		"another Host header":   func(r *http.Request) { r.Host = "evil.test" },
		"CRLF in the host":      func(r *http.Request) { r.URL.Host = "api.example.com\r\nX: y" },
		"CRLF in Host header":   func(r *http.Request) { r.Host = "api.example.com\r\nX: y" },
		"a dot at the end":      func(r *http.Request) { r.URL.Host = "api.example.com." },
		"fullwidth":             func(r *http.Request) { r.URL.Host = "ａpi.example.com" },
		"another port":          func(r *http.Request) { r.URL.Host = "api.example.com:22" },
		"another way of 443":    func(r *http.Request) { r.URL.Host = "api.example.com:0443" },
		"a unix socket":         func(r *http.Request) { r.URL = &url.URL{Scheme: "http+unix", Host: "%2Fvar%2Frun%2Fdocker.sock"} },
		"a file":                func(r *http.Request) { r.URL = &url.URL{Scheme: "file", Path: "/etc/passwd"} },
		"a scheme in capitals":  func(r *http.Request) { r.URL.Scheme = "HTTP" },
		"a tunnel":              func(r *http.Request) { r.Method = http.MethodConnect },
		"another protocol":      func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
		"the host of a subname": func(r *http.Request) { r.URL.Host = "evil.api.example.com" },
	} {
		u := ok
		r := &http.Request{Method: http.MethodGet, URL: &u, Header: http.Header{}}
		change(r)
		if err := s.allowed(r); err == nil {
			t.Errorf("%s was let through", name)
		}
	}
	for _, host := range []string{"", "api.example.com", "API.Example.com"} {
		u := ok
		if err := s.allowed(&http.Request{Method: http.MethodGet, URL: &u, Host: host}); err != nil {
			t.Errorf("Host %q: %v", host, err)
		}
	}
	for _, network := range []string{"unix", "udp", "tcp"} {
		if err := s.guard(t.Context(), network, "1.1.1.1:443", nil); err == nil {
			t.Errorf("%s is dialled", network)
		}
	}
}
