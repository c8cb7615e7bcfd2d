package code

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
)

// names are the hosts and libraries by which code knows a provider.
type names struct {
	profiles map[string]*catalog.Profile // by id
	hosts    map[string]string           // host → id
	suffixes map[string]string           // what follows a variable label → id: myshopify.com
	golang   map[string]string           // import path without its major version → id
	npm      map[string]string
	words    map[string]string // the provider's name as a module's name → id
}

// mention is a place that knows a provider.
type mention struct {
	provider string // id
	file     string
	at       int
	line     int
	column   int
	what     string // api.stripe.com, github.com/stripe/stripe-go
	sdk      bool
	text     string // the line, for the fingerprint
}

var (
	variable = regexp.MustCompile(`\{[^{}]*\}`)
	major    = regexp.MustCompile(`/v[0-9]+$`)
)

func namesOf(profiles []*catalog.Profile) *names {
	n := &names{profiles: map[string]*catalog.Profile{}, hosts: map[string]string{}, suffixes: map[string]string{}, golang: map[string]string{}, npm: map[string]string{}, words: map[string]string{}}
	for _, p := range profiles {
		if p == nil || n.profiles[p.ID] != nil {
			continue
		}
		n.profiles[p.ID] = p
		urls := append([]string{p.API.BaseURL}, p.API.Hosts...)
		for _, u := range p.API.OtherURLs {
			urls = append(urls, u)
		}
		for _, u := range urls {
			n.addHost(u, p.ID)
		}
		if p.SDK.Go != "" {
			n.golang[major.ReplaceAllString(p.SDK.Go, "")] = p.ID
		}
		if p.SDK.NPM != "" {
			n.npm[p.SDK.NPM] = p.ID
		}
		for _, word := range append([]string{p.ID, p.Name}, p.Aliases...) {
			if word = plain(word); len(word) >= 4 {
				n.words[word] = p.ID
			}
		}
	}
	return n
}

// addHost takes in the host of a URL, or a bare host. Of one with variables in
// it, what follows the last is what code shows: myshopify.com.
func (n *names) addHost(text, id string) {
	marked := variable.ReplaceAllString(text, "~")
	marked = strings.ReplaceAll(marked, "*", "~")
	if !strings.Contains(marked, "://") {
		marked = "https://" + marked
	}
	u, err := url.Parse(marked)
	if err != nil {
		return
	}
	host := strings.ToLower(u.Hostname())
	if i := strings.LastIndexByte(host, '~'); i >= 0 {
		rest := host[i+1:]
		j := strings.IndexByte(rest, '.')
		if j < 0 || strings.Count(rest[j+1:], ".") < 1 {
			return // nothing, or a top-level domain, is left
		}
		n.suffixes[rest[j+1:]] = id
		return
	}
	if strings.Contains(host, ".") && strings.Trim(host, "0123456789.") != "" {
		n.hosts[host] = id
	}
}

// plain is a name as modules are named: small letters and digits.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, s)
}

// find finds what a source file knows of providers: hosts in its text, and
// libraries in its imports. Comments don't count.
func (n *names) find(src source) []mention {
	if src.lang == nil || len(n.profiles) == 0 {
		return nil
	}
	out := append(n.findHosts(src), n.findImports(src)...)
	slices.SortFunc(out, func(a, b mention) int { return a.at - b.at })
	return out
}

func (n *names) mention(src source, at int, id, what string, sdk bool) mention {
	m := mention{provider: id, file: src.name, at: at, what: what, sdk: sdk, text: strings.Join(strings.Fields(lineAt(src.text, at)), " ")}
	m.line, m.column = position(src.text, at)
	return m
}

func (n *names) findHosts(src source) (out []mention) {
	for i := 0; i < len(src.code); {
		if !hostByte(src.code[i]) {
			i++
			continue
		}
		start, dots := i, 0
		for i < len(src.code) && hostByte(src.code[i]) {
			if src.code[i] == '.' {
				dots++
			}
			i++
		}
		if dots == 0 || i-start > 253 {
			continue
		}
		token := strings.Trim(strings.ToLower(string(src.code[start:i])), ".-")
		if id, host := n.host(token); id != "" {
			out = append(out, n.mention(src, start, id, host, false))
		}
	}
	return out
}

func hostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-'
}

// host is the provider of a host, and the host.
func (n *names) host(token string) (id, host string) {
	if id := n.hosts[token]; id != "" {
		return id, token
	}
	for rest := token; ; {
		if id := n.suffixes[rest]; id != "" {
			return id, token
		}
		_, after, ok := strings.Cut(rest, ".")
		if !ok {
			return "", ""
		}
		rest = after
	}
}

// How languages import, the module being the first group.
var imports = map[*language]*regexp.Regexp{
	golang:     regexp.MustCompile(`(?m)^[ \t]*(?:import[ \t]+)?(?:[\w.]+[ \t]+)?"([a-z0-9.-]+\.[a-z]+/[^"\s]+)"`),
	typescript: regexp.MustCompile(`(?:\bfrom|\brequire[ \t]*\(|\bimport[ \t]*\(|\bimport)[ \t]*['"]([^'"\n]+)['"]`),
	python:     regexp.MustCompile(`(?m)^[ \t]*(?:import|from)[ \t]+([A-Za-z_]\w*)`),
	ruby:       regexp.MustCompile(`(?m)^[ \t]*require[ \t(]+['"]([\w/-]+)['"]`),
	php:        regexp.MustCompile(`(?m)^[ \t]*use[ \t]+\\?([A-Za-z]\w*)\\`),
	java:       regexp.MustCompile(`(?m)^[ \t]*import[ \t]+(?:static[ \t]+)?(?:com|io|org|net)\.([a-z0-9]+)\.`),
	csharp:     regexp.MustCompile(`(?m)^[ \t]*(?:global[ \t]+)?using[ \t]+(?:static[ \t]+)?([A-Z]\w*)[.;]`),
}

func (n *names) findImports(src source) (out []mention) {
	if !n.known(src) {
		return nil
	}
	for _, m := range imports[src.lang].FindAllSubmatchIndex(src.code, -1) {
		name := string(src.code[m[2]:m[3]])
		if id := n.library(src.lang, name); id != "" {
			out = append(out, n.mention(src, m[2], id, name, true))
		}
	}
	return out
}

// known reports whether the name of any library stands in a file: looking for a
// few words is faster than reading every import. For the whole catalog it is not.
func (n *names) known(src source) bool {
	if len(n.profiles) > 20 {
		return true
	}
	text := lower(src.code)
	for _, list := range []map[string]string{n.golang, n.npm} {
		for name := range list {
			if bytes.Contains(text, []byte(strings.ToLower(name))) {
				return true
			}
		}
	}
	for word := range n.words { // what stands there may have - and _ in it
		if bytes.Contains(text, []byte(word[:4])) {
			return true
		}
	}
	return false
}

// library is the provider whose SDK an import names; empty for none.
func (n *names) library(lang *language, name string) string {
	switch lang {
	case golang:
		for base := name; base != "."; {
			if id := n.golang[major.ReplaceAllString(base, "")]; id != "" {
				return id
			}
			i := strings.LastIndexByte(base, '/')
			if i < 0 {
				return ""
			}
			base = base[:i]
		}
		return ""
	case typescript:
		for known, id := range n.npm {
			if name == known || strings.HasPrefix(name, known+"/") {
				return id
			}
		}
		return ""
	}
	name, _, _ = strings.Cut(name, "/")
	return n.words[plain(name)]
}

// label is a provider as people call it.
func (n *names) label(id string) string {
	if p := n.profiles[id]; p != nil && p.Name != "" {
		return p.Name
	}
	return id
}

func (m mention) words(n *names) string {
	if m.sdk {
		return fmt.Sprintf("the SDK of %s (%s)", n.label(m.provider), m.what)
	}
	return fmt.Sprintf("%s (%s)", m.what, n.label(m.provider))
}
