package compare

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	braces = regexp.MustCompile(`\{[^{}]*\}`)
	dated  = regexp.MustCompile(`^\d{4}-\d{2}`)
)

// open stands for a variable of an address.
const open = "-x-"

// address is a URL without what does not tell addresses apart: the names of its
// variables, its last slash, capitals in its host.
func address(raw string) *url.URL {
	u, err := url.Parse(strings.TrimSuffix(braces.ReplaceAllString(raw, open), "/"))
	if err != nil {
		return &url.URL{}
	}
	u.Host = strings.ToLower(u.Host)
	return u
}

// alike reports whether two addresses are the same, a variable being like
// anything.
func alike(a, b *url.URL) bool {
	return likeHost(a.Host, b.Host) && like(strings.Split(a.Path, "/"), strings.Split(b.Path, "/"))
}

func likeHost(a, b string) bool { return like(strings.Split(a, "."), strings.Split(b, ".")) }

func like(a, b []string) bool {
	return slices.EqualFunc(a, b, func(a, b string) bool { return a == b || a == open || b == open })
}

func (c *comparison) api() {
	c.address()
	c.hosts()
	c.version()
	forms, all := 0, 0
	for _, o := range c.document.Operations {
		if o.Request != nil {
			all++
			if strings.Contains(o.Request.ContentType, "form") {
				forms++
			}
		}
	}
	if all > 0 {
		said := "json"
		if forms*2 > all {
			said = "form"
		}
		profile := string(c.profile.API.Request)
		c.add("api", "request", profile, said, profile != said, of(forms, all, "bodies are forms"))
	}
	for _, name := range sorted(c.profile.API.Headers) {
		written, n := c.headerParameter(name)
		c.add("api", "headers."+name, name, written, false, count(n, "operations have it"))
	}
}

// address compares where the API is.
func (c *comparison) address() {
	p, servers := c.profile, c.document.Servers
	said := strings.Join(servers, ", ")
	if p.API.BaseURL == "" || len(servers) == 0 {
		c.add("api", "base_url", p.API.BaseURL, said, false, "")
		return
	}
	base := address(p.API.BaseURL)
	known := []string{p.Sandbox.BaseURL}
	for _, name := range sorted(p.API.OtherURLs) {
		known = append(known, p.API.OtherURLs[name])
	}
	sameHost, elsewhere := "", ""
	for _, s := range servers {
		u := address(s)
		if alike(u, base) {
			c.add("api", "base_url", p.API.BaseURL, s, false, "")
			return
		}
		if likeHost(u.Host, base.Host) && sameHost == "" {
			sameHost = s
		}
		if slices.ContainsFunc(known, func(k string) bool { return k != "" && likeHost(address(k).Host, u.Host) }) && elsewhere == "" {
			elsewhere = s
		}
	}
	switch {
	case sameHost != "":
		path := address(sameHost).Path
		nested := strings.HasPrefix(path, base.Path) || strings.HasPrefix(base.Path, path)
		c.add("api", "base_url", p.API.BaseURL, sameHost, !nested, "the same host with another path; the document's own paths decide which is meant")
	case elsewhere != "":
		c.add("api", "base_url", p.API.BaseURL, elsewhere, false, "the document names the test environment or another address that the profile knows")
	default:
		c.add("api", "base_url", p.API.BaseURL, said, true, "")
	}
}

// hosts are those that single operations are at.
func (c *comparison) hosts() {
	count := map[string]int{}
	for _, o := range c.document.Operations {
		if o.Server != "" {
			count[host(o.Server)]++
		}
	}
	known := append([]string{c.profile.API.BaseURL}, c.profile.API.Hosts...)
	for _, name := range sorted(c.profile.API.OtherURLs) {
		known = append(known, c.profile.API.OtherURLs[name])
	}
	for _, at := range sorted(count) {
		profile := ""
		for _, k := range known {
			if host(k) == at || k == at {
				profile = k
			}
		}
		note := fmt.Sprintf("of %d operations", count[at])
		if profile == "" {
			note += ", and the profile does not know the host"
		}
		c.add("api", "hosts", profile, at, false, note)
	}
}

// host is that of an address, variables as they are written.
func host(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	at, _, _ := strings.Cut(rest, "/")
	return strings.ToLower(at)
}

func (c *comparison) version() {
	profile, said := c.profile.API.Version, c.document.Version
	plain := func(v string) string { return strings.TrimPrefix(strings.ToLower(v), "v") }
	switch {
	case profile == "" || said == "" || plain(profile) == plain(said):
		c.add("api", "version", profile, said, false, "")
	case dated.MatchString(plain(profile)) && dated.MatchString(plain(said)):
		c.add("api", "version", profile, said, true, "plan with the document of the version that requests ask for")
	default:
		c.add("api", "version", profile, "", false, fmt.Sprintf("the document calls itself %s, which may be its own number", said))
	}
	if pin := c.profile.API.VersionPin; pin != nil && pin.In == "header" {
		written, n := c.headerParameter(pin.Name)
		c.add("api", "version_pin", pin.Name, written, false, count(n, "operations have it"))
	}
}
