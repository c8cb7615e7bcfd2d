package catalog

// Auth is one way the provider accepts credentials. Kinds api_key and basic are
// put on a request as they are; the others first have to be turned into a token.
type Auth struct {
	Provenance `yaml:",inline"`
	// Kind: api_key, basic; oauth2 (authorization code), client_credentials,
	// password and jwt_bearer (RFC 7523), which are grants of OAuth 2.0; jwt, a
	// token that the client signs itself; oauth1 (RFC 5849); and custom, a
	// procedure of the provider's own that Flow names and Note tells.
	Kind string `yaml:"kind" json:"kind" jsonschema:"enum=api_key,enum=basic,enum=oauth2,enum=client_credentials,enum=password,enum=jwt_bearer,enum=jwt,enum=oauth1,enum=custom"`
	// Flow is the provider's name for the way, where one kind is used for
	// several purposes: github_app_jwt.
	Flow string `yaml:"flow,omitempty" json:"flow,omitempty"`
	// In, Name and Prefix say where the key goes and, for every other kind but
	// basic, where the token goes; empty then is "Authorization: Bearer ".
	In     string `yaml:"in,omitempty" json:"in,omitempty" jsonschema:"enum=header,enum=query,enum=path,enum=body"`
	Name   string `yaml:"name,omitempty" json:"name,omitempty"`     // header, parameter, member of the JSON body, or what precedes the key in its part of the path
	Prefix string `yaml:"prefix,omitempty" json:"prefix,omitempty"` // before the key, with its space: "Bearer "
	// Forms names fields of form bodies in which the provider takes the key as
	// well, as its SDKs send it there. What a caller puts there is taken out.
	Forms       []string `yaml:"forms,omitempty" json:"forms,omitempty"`
	KeyPrefixes []string `yaml:"key_prefixes,omitempty" json:"key_prefixes,omitempty"`   // how any key starts
	LivePrefix  []string `yaml:"live_prefixes,omitempty" json:"live_prefixes,omitempty"` // how a production key starts (R2.11)
	TestPrefix  []string `yaml:"test_prefixes,omitempty" json:"test_prefixes,omitempty"` // how a sandbox key starts
	Username    string   `yaml:"username,omitempty" json:"username,omitempty"`           // basic: "{secret}", "{variable}" or a fixed value
	Password    string   `yaml:"password,omitempty" json:"password,omitempty"`           // basic: likewise
	// Headers must be sent together with the credential: a second key, an
	// account. Values name what they hold in braces: {application_key}.
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	JWT     *JWT              `yaml:"jwt,omitempty" json:"jwt,omitempty"`
	OAuth   *OAuth            `yaml:"oauth,omitempty" json:"oauth,omitempty"`
}

// JWT is what a client must put into a token that it signs itself, as a
// credential (kind jwt) or as an assertion (kind jwt_bearer). Braces name what
// the operator configures.
type JWT struct {
	Algorithm string            `yaml:"algorithm,omitempty" json:"algorithm,omitempty"` // RS256, HS256, …
	Issuer    string            `yaml:"issuer,omitempty" json:"issuer,omitempty"`
	Audience  string            `yaml:"audience,omitempty" json:"audience,omitempty"`
	Claims    map[string]string `yaml:"claims,omitempty" json:"claims,omitempty"`       // further claims
	Seconds   int               `yaml:"life_s,omitempty" json:"life_s,omitempty"`       // longest life the provider takes; 0 is not known
	Exchange  string            `yaml:"exchange,omitempty" json:"exchange,omitempty"`   // what it is exchanged for, in words
	Signature string            `yaml:"signature,omitempty" json:"signature,omitempty"` // oauth1: HMAC-SHA1, HMAC-SHA256
}

// OAuth holds the provider's OAuth 2.0 facts. Addresses may contain {names} that
// API.Variables describes.
type OAuth struct {
	AuthorizeURL string `yaml:"authorize_url,omitempty" json:"authorize_url,omitempty"`
	TokenURL     string `yaml:"token_url" json:"token_url"`
	// RequestURL is where oauth1 asks for a temporary token.
	RequestURL string `yaml:"request_url,omitempty" json:"request_url,omitempty"`
	// RefreshURL is where tokens are refreshed when that is not TokenURL.
	RefreshURL string `yaml:"refresh_url,omitempty" json:"refresh_url,omitempty"`
	RevokeURL  string `yaml:"revoke_url,omitempty" json:"revoke_url,omitempty"`
	// Revocation is how RevokeURL wants to be asked where that is not as RFC
	// 7009 says; nil: as it says.
	Revocation *Revocation `yaml:"revocation,omitempty" json:"revocation,omitempty"`
	// DeviceURL is where the device flow begins (RFC 8628); empty: not offered.
	DeviceURL string `yaml:"device_url,omitempty" json:"device_url,omitempty"`
	// Issuer and KeysURL are what an ID token names and is signed with (OpenID
	// Connect Core, section 2); both empty: there are no ID tokens.
	Issuer         string `yaml:"issuer,omitempty" json:"issuer,omitempty"`
	KeysURL        string `yaml:"keys_url,omitempty" json:"keys_url,omitempty"`
	PKCE           string `yaml:"pkce,omitempty" json:"pkce,omitempty" jsonschema:"enum=yes,enum=no,enum=optional,enum=required"` // yes: supported
	ScopeSeparator string `yaml:"scope_separator,omitempty" json:"scope_separator,omitempty"`
	// TokenAuth is how the client authenticates at TokenURL: basic, post,
	// private_key_jwt, certificate, none (public clients); several are joined by
	// " or ", the one to prefer first.
	TokenAuth string `yaml:"token_auth,omitempty" json:"token_auth,omitempty"`
	TokenBody string `yaml:"token_body,omitempty" json:"token_body,omitempty"` // form | json | query
	Rotates   string `yaml:"rotates,omitempty" json:"rotates,omitempty"`       // when refresh tokens rotate, in words
	// Rotation is the same for the program: always, never, sometimes. Empty: not
	// known; whoever refreshes keeps the new token whenever one comes.
	Rotation string `yaml:"rotation,omitempty" json:"rotation,omitempty" jsonschema:"enum=always,enum=never,enum=sometimes"`
	// GraceSeconds is how long the old refresh token works after a rotation; 0
	// is not at all, or not known.
	GraceSeconds   int `yaml:"grace_seconds,omitempty" json:"grace_seconds,omitempty"`
	AccessSeconds  int `yaml:"access_seconds,omitempty" json:"access_seconds,omitempty"`
	RefreshSeconds int `yaml:"refresh_seconds,omitempty" json:"refresh_seconds,omitempty"`
	// Params are sent with the authorization request besides the standard ones.
	Params map[string]string `yaml:"params,omitempty" json:"params,omitempty"`
	// TokenParams are sent with the token request besides the standard ones; a
	// grant_type here takes the standard one's place.
	TokenParams map[string]string `yaml:"token_params,omitempty" json:"token_params,omitempty"`
	// Offline is the scope that brings a refresh token: offline_access. A
	// parameter that does stands in Params.
	Offline string `yaml:"offline,omitempty" json:"offline,omitempty"`
	// Scopes that every request needs; empty: none.
	Scopes []string `yaml:"scopes,omitempty" json:"scopes,omitempty"`
	// Renamed are standard parameters under the provider's names:
	// client_id: client_key at TikTok.
	Renamed map[string]string `yaml:"renamed,omitempty" json:"renamed,omitempty"`
	// Expiry is where the token answer says when the token ends, where that is
	// not expires_in in seconds.
	Expiry *TokenExpiry `yaml:"expiry,omitempty" json:"expiry,omitempty"`
	// Answer are further members of the token answer that have to be kept:
	// instance_url at Salesforce.
	Answer []string `yaml:"answer,omitempty" json:"answer,omitempty"`
	// ErrorsInSuccess says that a refused token request is answered with 200.
	ErrorsInSuccess bool `yaml:"errors_in_success,omitempty" json:"errors_in_success,omitempty"`
}

// Revocation is a provider's own way of taking a token back.
type Revocation struct {
	Method string `yaml:"method,omitempty" json:"method,omitempty"` // empty: POST
	// Body: form (empty), json, query for parameters in the address, or none.
	Body string `yaml:"body,omitempty" json:"body,omitempty" jsonschema:"enum=form,enum=json,enum=query,enum=none"`
	// Token is the parameter that carries the token, or "bearer" when it stands
	// in the header Authorization alone; empty: token.
	Token string `yaml:"token,omitempty" json:"token,omitempty"`
	// Revokes says which token ends the grant: access or refresh (empty; the
	// access token where there is no refresh token).
	Revokes string `yaml:"revokes,omitempty" json:"revokes,omitempty" jsonschema:"enum=access,enum=refresh"`
	// Client is how the client authenticates: basic, post, none, or header for
	// "Authorization: Client SECRET"; empty: as at the token address.
	Client string `yaml:"client,omitempty" json:"client,omitempty" jsonschema:"enum=basic,enum=post,enum=none,enum=header"`
}

// TokenExpiry is where and how a token answer names the end of a token.
type TokenExpiry struct {
	Field   string `yaml:"field,omitempty" json:"field,omitempty"`     // of the access token: expires_at; "-": none at all
	Format  string `yaml:"format,omitempty" json:"format,omitempty"`   // seconds, epoch_seconds, epoch_milliseconds, iso8601
	Refresh string `yaml:"refresh,omitempty" json:"refresh,omitempty"` // field of the refresh token, in seconds: x_refresh_token_expires_in
}

// Variable is a part of an address that differs between customers: {shop}.
type Variable struct {
	Text    string `yaml:"text,omitempty" json:"text,omitempty"`       // what it is, in words
	Pattern string `yaml:"pattern,omitempty" json:"pattern,omitempty"` // regular expression of the whole value; empty: one DNS label, [A-Za-z0-9-]+
	Example string `yaml:"example,omitempty" json:"example,omitempty"`
	// Values are all it can be; empty: anything Pattern allows.
	Values []string `yaml:"values,omitempty" json:"values,omitempty"`
	// From says who tells it when nobody has to be asked: token:instance_url for
	// a member of the token answer, callback:shop for a parameter of the OAuth
	// callback, key for the part of the credential after Split.
	From  string `yaml:"from,omitempty" json:"from,omitempty"`
	Split string `yaml:"split,omitempty" json:"split,omitempty"`
	// URL says that From and Ask tell a whole address, of which the host is
	// meant: Salesforce's instance_url.
	URL bool `yaml:"url,omitempty" json:"url,omitempty"`
	// Ask is a request that tells the value once there is a token.
	Ask *Lookup `yaml:"ask,omitempty" json:"ask,omitempty"`
}

// Lookup is one authorised GET and the place of a value in its JSON answer.
type Lookup struct {
	URL  string `yaml:"url" json:"url"`
	Path string `yaml:"path" json:"path"` // gjson path
}
