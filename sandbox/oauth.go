package sandbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/catalog"
)

// OAuthConfig says whose authorization server to play, and how.
type OAuthConfig struct {
	// Auth is one way of authorisation of a profile, with OAuth facts.
	Auth catalog.Auth
	// Variables are the profile's; look-ups among them are answered as well.
	Variables map[string]catalog.Variable
	// Values are what look-ups and token answers tell, by variable; one that is
	// missing is an example that fits the profile.
	Values map[string]string
	// ClientID and ClientSecret are of the app that is registered here. The
	// redirect URI must be one of RedirectURIs to the letter.
	ClientID, ClientSecret string
	RedirectURIs           []string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// OAuthMood is what goes wrong at an authorization server. The zero value is
// that all is well.
type OAuthMood struct {
	Deny        bool     // the person says no
	Grant       []string // scopes that are granted; nil: all that are asked for
	Status      int      // of every token answer, without doing anything; 0: none
	LoseAnswers int      // so many token requests are done, and their answers lost
	Issuer      string   // iss of the redirect; empty: none is told
	Delay       func()   // called in the middle of a token request; nil: nothing
}

// OAuth plays a provider's authorization server with the quirks of its profile:
// bodies, names and authentication as it wants them, times as it writes them,
// refresh tokens that rotate, and whole families that end when an old one is
// used again (RFC 9700, section 4.14.2). It answers by path, whatever the host;
// the person consents at once. It is safe for use by many goroutines.
type OAuth struct {
	config OAuthConfig
	facts  catalog.OAuth

	mu      sync.Mutex
	mood    OAuthMood
	codes   map[string]*grantCode
	tokens  map[string]*grant // refresh token → its grant
	access  map[string]*grant // access token → its grant
	refused []string
	devices map[string]*deviceGrant // device code → its grant
	counts  OAuthCounts
}

// OAuthCounts is what an authorization server saw.
type OAuthCounts struct {
	Authorizations, Codes, Refreshes, Own, Reuses, Revocations, Lookups, Devices, Polls int
}

type grantCode struct {
	challenge, redirect string
	scopes              []string
}

// grant is a family of tokens.
type grant struct {
	scopes  []string
	current string // refresh token
	before  string // the one before, and until when it still works
	grace   time.Time
	ended   bool
}

// NewOAuth makes an authorization server.
func NewOAuth(c OAuthConfig) (*OAuth, error) {
	if c.Auth.OAuth == nil {
		return nil, fmt.Errorf("sandbox: %s has no token address to play", c.Auth.Kind)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Values = withExamples(c.Variables, c.Values)
	return &OAuth{config: c, facts: *c.Auth.OAuth, codes: map[string]*grantCode{}, tokens: map[string]*grant{}, access: map[string]*grant{}, devices: map[string]*deviceGrant{}}, nil
}

// SetMood says what goes wrong from now on.
func (o *OAuth) SetMood(m OAuthMood) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mood = m
}

// Counts returns what was asked so far.
func (o *OAuth) Counts() OAuthCounts {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.counts
}

// Refused returns why token requests were refused, each in a line.
func (o *OAuth) Refused() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.refused)
}

// Live reports whether an access token works.
func (o *OAuth) Live(token string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.access[token]
	return g != nil && !g.ended
}

// Withdraw ends every grant, as a person does who removes the app.
func (o *OAuth) Withdraw() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, g := range o.tokens {
		g.ended = true
	}
	for _, g := range o.access {
		g.ended = true
	}
}

// ServeHTTP answers as the provider would.
func (o *OAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handle := o.route(r)
	if handle == nil {
		handle = http.NotFound
	}
	handle(w, r)
}

// Answers reports whether a request is one for the authorization server, and not
// for the provider's API.
func (o *OAuth) Answers(r *http.Request) bool { return o.route(r) != nil }

// route finds what answers a request; nil: nothing does.
func (o *OAuth) route(r *http.Request) http.HandlerFunc {
	f := &o.facts
	revoking := http.MethodPost
	if f.Revocation != nil && f.Revocation.Method != "" {
		revoking = f.Revocation.Method
	}
	switch {
	case r.URL.Path == DevicePath:
		return o.confirm
	case r.Method == http.MethodPost && f.DeviceURL != "" && at(f.DeviceURL, r):
		return o.device
	case r.Method == http.MethodGet && at(f.AuthorizeURL, r):
		return o.authorize
	case r.Method == revoking && at(f.RevokeURL, r) && (revoking != http.MethodPost || !at(f.TokenURL, r)):
		return o.revoke
	case r.Method == http.MethodPost && f.RefreshURL != "" && at(f.RefreshURL, r):
		return func(w http.ResponseWriter, r *http.Request) { o.token(w, r, true) }
	case r.Method == http.MethodPost && at(f.TokenURL, r):
		return func(w http.ResponseWriter, r *http.Request) { o.token(w, r, false) }
	case o.looksUp(r):
		return o.lookup
	}
	return nil
}

var hole = regexp.MustCompile(`\\\{[a-z0-9_]+\\\}`)

// at reports whether a request goes to an address of the profile: its path, and
// its query where it has one.
func at(address string, r *http.Request) bool {
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		return false
	}
	_, rest, _ = strings.Cut(rest, "/")
	wanted, query, _ := strings.Cut("/"+rest, "?")
	pattern := "^" + hole.ReplaceAllString(regexp.QuoteMeta(wanted), "[^/]+") + "$"
	matched, err := regexp.MatchString(pattern, r.URL.Path)
	return err == nil && matched && (query == "" || strings.Contains(r.URL.RawQuery, query))
}

func (o *OAuth) name(standard string) string {
	if own, ok := o.facts.Renamed[standard]; ok {
		return own
	}
	return standard
}

func (o *OAuth) scopes(text string) []string {
	separator := o.facts.ScopeSeparator
	if separator == "" || separator == "+" {
		separator = " "
	}
	if text == "" {
		return nil
	}
	return strings.Split(text, separator)
}

func (o *OAuth) authorize(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts.Authorizations++
	q := r.URL.Query()
	if err := o.checkAuthorize(q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest) // never to an address that is not registered
		return
	}
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		http.Error(w, "redirect_uri is no address", http.StatusBadRequest)
		return
	}
	out := back.Query()
	out.Set("state", q.Get("state"))
	if o.mood.Issuer != "" {
		out.Set("iss", o.mood.Issuer)
	}
	if o.mood.Deny {
		out.Set("error", "access_denied")
		out.Set("error_description", "The person said no.")
	} else {
		code := rand.Text()
		o.codes[code] = &grantCode{challenge: q.Get("code_challenge"), redirect: q.Get("redirect_uri"), scopes: o.scopes(q.Get("scope"))}
		out.Set(o.name("code"), code)
		for name, v := range o.config.Variables {
			if key, ok := strings.CutPrefix(v.From, "callback:"); ok {
				out.Set(key, o.config.Values[name])
			}
		}
		if _, ok := o.facts.TokenParams["context"]; ok {
			out.Set("context", "stores/h4sh")
		}
	}
	back.RawQuery = out.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (o *OAuth) checkAuthorize(q url.Values) error {
	switch {
	case q.Get(o.name("client_id")) != o.config.ClientID:
		return errors.New("the app is not known by that " + o.name("client_id"))
	case !slices.Contains(o.config.RedirectURIs, q.Get("redirect_uri")):
		return errors.New("redirect_uri is not registered")
	case q.Get("response_type") != "code" || q.Get("state") == "":
		return errors.New("response_type=code and a state are wanted")
	case o.facts.PKCE == "required" && (q.Get("code_challenge") == "" || q.Get("code_challenge_method") != "S256"):
		return errors.New("PKCE with S256 is wanted")
	}
	for name, value := range o.facts.Params {
		if !strings.Contains(value, "{") && q.Get(name) != value {
			return fmt.Errorf("%s=%s is wanted", name, value)
		}
	}
	return nil
}
