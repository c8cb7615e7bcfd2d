package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/sjson"
)

// mostOAuthBody bounds what is read of a token request.
const mostOAuthBody = 1 << 20

// parameters reads a body as the profile says it must be.
func (o *OAuth) parameters(r *http.Request, body string) (url.Values, bool) {
	content, err := io.ReadAll(io.LimitReader(r.Body, mostOAuthBody))
	if err != nil {
		return nil, false
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch body {
	case "json":
		var members map[string]string
		if media != "application/json" || json.Unmarshal(content, &members) != nil {
			return nil, false
		}
		v := url.Values{}
		for name, value := range members {
			v.Set(name, value)
		}
		return v, true
	case "query", "none":
		return r.URL.Query(), true
	}
	v, err := url.ParseQuery(string(content))
	return v, err == nil && media == "application/x-www-form-urlencoded"
}

// client reports whether the app authenticates in one of the ways wanted.
func (o *OAuth) client(r *http.Request, form url.Values, ways string) bool {
	if ways == "" && form.Get("assertion") != "" {
		return true // the assertion says who it is (RFC 7523, section 3.1)
	}
	for _, way := range strings.Split(ways, " or ") {
		switch way {
		case "basic":
			user, password, ok := r.BasicAuth()
			id, _ := url.QueryUnescape(user)
			secret, _ := url.QueryUnescape(password)
			if ok && id == o.config.ClientID && secret == o.config.ClientSecret {
				return true
			}
		case "none":
			if form.Get(o.name("client_id")) == o.config.ClientID {
				return true
			}
		case "header":
			if r.Header.Get("Authorization") == "Client "+o.config.ClientSecret {
				return true
			}
		case "private_key_jwt", "certificate":
			if form.Get("client_assertion") != "" {
				return true
			}
		default:
			if form.Get(o.name("client_id")) == o.config.ClientID && form.Get(o.name("client_secret")) == o.config.ClientSecret {
				return true
			}
		}
	}
	return false
}

func (o *OAuth) token(w http.ResponseWriter, r *http.Request, refreshing bool) {
	form, ok := o.parameters(r, o.facts.TokenBody)
	o.mu.Lock()
	mood := o.mood
	o.mu.Unlock()
	if mood.Delay != nil {
		mood.Delay()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if mood.Status != 0 {
		w.WriteHeader(mood.Status)
		return
	}
	switch {
	case !ok:
		o.refuse(w, "invalid_request", "the body is not as it must be")
		return
	case !o.client(r, form, o.facts.TokenAuth):
		o.refuse(w, "invalid_client", "the app does not authenticate as it must")
		return
	}
	answer, code, why := o.grantFor(form, refreshing)
	if code != "" {
		o.refuse(w, code, why)
		return
	}
	if o.mood.LoseAnswers > 0 {
		o.mood.LoseAnswers--
		panic(http.ErrAbortHandler) // done, and nobody hears of it
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, answer)
}

func (o *OAuth) grantFor(form url.Values, refreshing bool) (answer, code, why string) {
	for name, value := range o.facts.TokenParams {
		if name != "grant_type" && name != "expiring" && !strings.Contains(value, "{") && form.Get(name) != value {
			return "", "invalid_request", name + "=" + value + " is wanted"
		}
	}
	switch kind := form.Get("grant_type"); {
	case kind == "refresh_token":
		if o.facts.RefreshURL != "" && !refreshing {
			return "", "invalid_request", "tokens are refreshed at another address"
		}
		return o.refresh(form.Get(o.name("refresh_token")))
	case kind == deviceGrantType:
		return o.polled(form)
	case kind == "authorization_code":
		return o.code(form)
	case kind == o.facts.TokenParams["grant_type"], kind == "client_credentials", kind == "password", strings.HasSuffix(kind, ":jwt-bearer"):
		o.counts.Own++
		return o.issue(&grant{scopes: o.scopes(form.Get("scope"))}, false), "", ""
	}
	return "", "unsupported_grant_type", form.Get("grant_type")
}

// code takes the code of an authorisation, once (RFC 6749, section 4.1.3).
func (o *OAuth) code(form url.Values) (answer, code, why string) {
	o.counts.Codes++
	kept := o.codes[form.Get("code")]
	delete(o.codes, form.Get("code"))
	switch {
	case kept == nil:
		return "", "invalid_grant", "the code was used or never was"
	case kept.redirect != form.Get("redirect_uri"):
		return "", "invalid_grant", "the code was given for another redirect_uri"
	}
	if kept.challenge != "" {
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if base64.RawURLEncoding.EncodeToString(sum[:]) != kept.challenge {
			return "", "invalid_grant", "the code was given to another: PKCE does not fit"
		}
	}
	scopes := kept.scopes
	if o.mood.Grant != nil {
		scopes = o.mood.Grant
	}
	return o.issue(&grant{scopes: scopes}, true), "", ""
}

// refresh gives new tokens. An old refresh token that is used again after its
// grace ends the whole family.
func (o *OAuth) refresh(token string) (answer, code, why string) {
	o.counts.Refreshes++
	g := o.tokens[token]
	switch {
	case g == nil || g.ended:
		return "", "invalid_grant", "the refresh token is not valid"
	case token != g.current && (token != g.before || o.config.Now().After(g.grace)):
		g.ended = true
		o.counts.Reuses++
		return "", "invalid_grant", "the refresh token was used before"
	}
	return o.issue(g, o.facts.Rotation == "always"), "", ""
}

// issue writes a token answer. The caller holds the lock.
func (o *OAuth) issue(g *grant, rotate bool) string {
	now := o.config.Now()
	access := "at_" + rand.Text()
	o.access[access] = g
	answer, _ := sjson.Set(`{"token_type":"bearer"}`, "access_token", access)
	set := func(name string, value any) {
		answer, _ = sjson.Set(answer, strings.ReplaceAll(name, ".", `\.`), value)
	}
	if rotate {
		g.before, g.grace = g.current, now.Add(time.Duration(o.facts.GraceSeconds)*time.Second)
		g.current = "rt_" + rand.Text()
		o.tokens[g.current] = g
		set("refresh_token", g.current)
	}
	o.expiry(set, now)
	if len(g.scopes) > 0 {
		separator := o.facts.ScopeSeparator
		if separator == "" || separator == "+" {
			separator = " "
		}
		set("scope", strings.Join(g.scopes, separator))
	}
	if o.facts.ErrorsInSuccess || strings.Contains(o.facts.TokenURL, "slack.com") {
		set("ok", true)
	}
	for name, v := range o.config.Variables {
		if key, ok := strings.CutPrefix(v.From, "token:"); ok {
			value := o.config.Values[name]
			switch {
			case v.URL:
				value = "https://" + value
			case key == "api_domain" && len(v.Values) > 0:
				value = "https://www.provider.example." + value
			case v.Split != "":
				value = "stores" + v.Split + value
			}
			set(key, value)
		}
	}
	return answer
}

func (o *OAuth) expiry(set func(string, any), now time.Time) {
	life := time.Duration(o.facts.AccessSeconds) * time.Second
	e := o.facts.Expiry
	switch {
	case e != nil && e.Field == "-", life == 0:
	case e != nil && e.Format == "iso8601":
		set(e.Field, now.Add(life).UTC().Format(time.RFC3339))
	case e != nil && e.Format == "epoch_seconds":
		set(e.Field, now.Add(life).Unix())
	case e != nil && e.Format == "epoch_milliseconds":
		set(e.Field, now.Add(life).UnixMilli())
	case e != nil && e.Field != "":
		set(e.Field, o.facts.AccessSeconds)
	default:
		set("expires_in", o.facts.AccessSeconds)
	}
	if e != nil && e.Refresh != "" && o.facts.RefreshSeconds > 0 {
		set(e.Refresh, o.facts.RefreshSeconds)
	}
}

// refuse answers a request that comes to nothing. The caller holds the lock.
func (o *OAuth) refuse(w http.ResponseWriter, code, why string) {
	o.refused = append(o.refused, code+": "+why)
	body, _ := sjson.Set(`{}`, "error", code)
	body, _ = sjson.Set(body, "error_description", why)
	w.Header().Set("Content-Type", "application/json")
	status := http.StatusBadRequest
	switch {
	case o.facts.ErrorsInSuccess:
		status = http.StatusOK
	case code == "invalid_client":
		status = http.StatusUnauthorized
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// revoke ends a grant, as RFC 7009 says or as the profile does.
func (o *OAuth) revoke(w http.ResponseWriter, r *http.Request) {
	body, name, ways := "", "token", o.facts.TokenAuth
	if how := o.facts.Revocation; how != nil {
		body = how.Body
		if how.Token != "" {
			name = how.Token
		}
		if how.Client != "" {
			ways = how.Client
		}
	}
	form, ok := o.parameters(r, body)
	token := form.Get(name)
	if name == "bearer" {
		token, ways = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "none"
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts.Revocations++
	switch {
	case o.mood.Status != 0:
		w.WriteHeader(o.mood.Status)
		return
	case !ok:
		o.refuse(w, "invalid_request", "the revocation's body is not as it must be")
		return
	case ways != "none" && !o.client(r, form, ways):
		o.refuse(w, "invalid_client", "the app does not authenticate its revocation as it must")
		return
	}
	for _, g := range []*grant{o.tokens[token], o.access[token]} {
		if g != nil {
			g.ended = true
		}
	}
	w.WriteHeader(http.StatusOK)
}

// looksUp reports whether a request asks for a variable.
func (o *OAuth) looksUp(r *http.Request) bool {
	for _, v := range o.config.Variables {
		if v.Ask != nil && r.Method == http.MethodGet && at(v.Ask.URL, r) {
			return true
		}
	}
	return false
}

// lookup answers the calls that tell a variable, for who has a token.
func (o *OAuth) lookup(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	answer := ""
	for name, v := range o.config.Variables {
		if v.Ask == nil || r.Method != http.MethodGet || !at(v.Ask.URL, r) {
			continue
		}
		value := o.config.Values[name]
		if v.URL {
			value = "https://" + value
		}
		if strings.HasPrefix(v.Ask.Path, "0.") && answer == "" {
			answer = "[]"
		}
		answer, _ = sjson.Set(answer, v.Ask.Path, value)
	}
	o.counts.Lookups++
	if !o.authorised(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

// authorised reports whether any header of a request carries a live token.
func (o *OAuth) authorised(r *http.Request) bool {
	for _, values := range r.Header {
		if slices.ContainsFunc(values, func(v string) bool {
			g := o.access[v[strings.LastIndex(v, " ")+1:]]
			return g != nil && !g.ended
		}) {
			return true
		}
	}
	return false
}
