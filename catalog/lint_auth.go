package catalog

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var dotted = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

func (l *linter) auth(path string, a *Auth) {
	l.oneOf(path+".kind", a.Kind, authKinds)
	switch a.Kind {
	case "api_key":
		l.oneOf(path+".in", a.In, []string{"body", "header", "path", "query"})
		if a.In == "header" {
			l.header(path+".name", a.Name, false)
		} else if a.Name == "" {
			l.add(path+".name", "required", "the parameter that carries the key is missing")
		}
	case "basic":
		if n := strings.Count(a.Username+a.Password, "{secret}"); n != 1 {
			l.add(path+".username", "secret", "username and password must hold {secret} once, not %d times", n)
		}
	case "oauth2", "client_credentials", "password", "jwt_bearer":
		if a.OAuth == nil {
			l.add(path+".oauth", "required", "an %s credential needs its URLs", a.Kind)
		}
	}
	l.prefixes(path, a)
	for _, name := range keys(a.Headers) {
		l.header(path+".headers."+name, name, false)
		if v := a.Headers[name]; v == "" || strings.ContainsAny(v, "\r\n") {
			l.add(path+".headers."+name, "header", "its value must be one line, and not empty")
		}
	}
	if a.JWT != nil {
		l.notNegative(path+".jwt.life_s", a.JWT.Seconds)
	}
	if a.OAuth != nil {
		l.oauth(path+".oauth", a.Kind, a.OAuth)
	}
}

func (l *linter) oauth(path, kind string, o *OAuth) {
	l.url(path+".authorize_url", o.AuthorizeURL, kind != "oauth2" || o.AuthorizeURL == "" && o.TokenURL != "")
	l.url(path+".token_url", o.TokenURL, false)
	l.url(path+".request_url", o.RequestURL, true)
	l.url(path+".refresh_url", o.RefreshURL, true)
	l.url(path+".revoke_url", o.RevokeURL, true)
	l.url(path+".device_url", o.DeviceURL, true)
	l.url(path+".keys_url", o.KeysURL, true)
	if (o.Issuer == "") != (o.KeysURL == "") {
		l.add(path+".issuer", "required", "issuer and keys_url belong together")
	}
	if r := o.Revocation; r != nil {
		l.oneOf(path+".revocation.body", r.Body, []string{"", "form", "json", "none", "query"})
		l.oneOf(path+".revocation.client", r.Client, []string{"", "basic", "header", "none", "post"})
		l.oneOf(path+".revocation.revokes", r.Revokes, []string{"", "access", "refresh"})
		if o.RevokeURL == "" {
			l.add(path+".revoke_url", "required", "revocation says how to ask, revoke_url where is missing")
		}
	}
	l.oneOf(path+".pkce", o.PKCE, []string{"", "no", "optional", "required", "yes"})
	for _, way := range strings.Split(o.TokenAuth, " or ") {
		l.oneOf(path+".token_auth", way, []string{"", "basic", "certificate", "none", "post", "private_key_jwt"})
	}
	l.oneOf(path+".token_body", o.TokenBody, []string{"", "form", "json", "query"})
	l.oneOf(path+".rotation", o.Rotation, []string{"", "always", "never", "sometimes"})
	l.notNegative(path+".grace_seconds", o.GraceSeconds)
	l.notNegative(path+".access_seconds", o.AccessSeconds)
	l.notNegative(path+".refresh_seconds", o.RefreshSeconds)
	if e := o.Expiry; e != nil {
		l.oneOf(path+".expiry.format", e.Format, []string{"", "epoch_milliseconds", "epoch_seconds", "iso8601", "seconds"})
		if e.Field == "" && e.Refresh == "" {
			l.add(path+".expiry", "required", "it names no member of the token answer")
		}
	}
}

// variables checks that each {name} in an address or a credential is described,
// that each description is used, and that patterns compile.
func (l *linter) variables(p *Profile) {
	used := map[string]bool{}
	look := func(path string, texts ...string) {
		for _, text := range texts {
			for _, name := range variable.FindAllString(text, -1) {
				name = strings.Trim(name, "{}")
				used[name] = true
				if _, ok := p.API.Variables[name]; !ok && name != "secret" {
					l.add(path, "variable", "{%s} is not described in api.variables", name)
				}
			}
		}
	}
	look("api.base_url", p.API.BaseURL)
	for _, name := range keys(p.API.OtherURLs) {
		look("api.other_urls."+name, p.API.OtherURLs[name])
	}
	for i := range p.Auth {
		a, path := &p.Auth[i], fmt.Sprintf("auth[%d]", i)
		look(path, a.Username, a.Password)
		for _, name := range keys(a.Headers) {
			look(path+".headers."+name, a.Headers[name])
		}
		if o := a.OAuth; o != nil {
			look(path+".oauth", o.AuthorizeURL, o.TokenURL, o.RequestURL, o.RefreshURL, o.RevokeURL, o.DeviceURL, o.Issuer, o.KeysURL)
			for _, name := range keys(o.TokenParams) {
				look(path+".oauth.token_params."+name, o.TokenParams[name])
			}
		}
		if j := a.JWT; j != nil {
			look(path+".jwt", j.Issuer, j.Audience, j.Exchange)
		}
	}
	look("sandbox.base_url", p.Sandbox.BaseURL)
	for _, name := range slices.Sorted(maps.Keys(p.API.Variables)) {
		l.variable("api.variables."+name, name, p.API.Variables[name], used[name])
	}
}

func (l *linter) variable(path, name string, v Variable, used bool) {
	if !slug.MatchString(name) {
		l.add(path, "slug", "%q is no name: a lower-case letter, then letters, digits and _", name)
	}
	if !used {
		l.add(path, "variable", "no address and no credential uses {%s}", name)
	}
	pattern, err := regexp.Compile("^(?:" + v.Pattern + ")$")
	switch {
	case err != nil:
		l.add(path+".pattern", "pattern", "%v", err)
	case v.Pattern != "" && v.Example != "" && !pattern.MatchString(v.Example):
		l.add(path+".example", "pattern", "%q does not match %s", v.Example, v.Pattern)
	}
	if v.Ask != nil {
		l.url(path+".ask.url", v.Ask.URL, false)
		l.bodyPath(path+".ask.path", v.Ask.Path, false)
	}
	if v.From != "" && v.From != "key" && !strings.HasPrefix(v.From, "token:") && !strings.HasPrefix(v.From, "callback:") {
		l.add(path+".from", "word", "%q is none of token:MEMBER, callback:PARAMETER and key", v.From)
	}
}

// field wants a dotted name; empty is fine.
func (l *linter) field(path, name string) {
	if name != "" && !dotted.MatchString(name) {
		l.add(path, "path", "%q is no name of a parameter such as body.idempotency_key", name)
	}
}

// prefixes keeps live and test keys apart (R2.11).
func (l *linter) prefixes(path string, a *Auth) {
	for _, live := range a.LivePrefix {
		for _, test := range a.TestPrefix {
			if strings.HasPrefix(live, test) || strings.HasPrefix(test, live) {
				l.add(path+".live_prefixes", "prefix", "%q and %q can't be told apart", live, test)
			}
		}
	}
	for _, list := range [][]string{a.LivePrefix, a.TestPrefix} {
		for _, prefix := range list {
			if len(a.KeyPrefixes) > 0 && !slices.Contains(a.KeyPrefixes, prefix) {
				l.add(path+".key_prefixes", "prefix", "%q is missing among all prefixes", prefix)
			}
		}
	}
}
