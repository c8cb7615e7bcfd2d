package catalog

// KeySource says where the public keys of a signature come from. It is a need
// that a profile declares: package verify asks for the keys, verify/keys fetches
// them. Either URL or URLPath is set.
type KeySource struct {
	// URL is a fixed address: https://www.googleapis.com/oauth2/v3/certs. It may
	// contain "{kid}", the key id that the request names.
	URL string `yaml:"url,omitempty" json:"url,omitempty"`
	// URLPath is where the request itself names the address, as an extract path:
	// header:PAYPAL-CERT-URL, json:SigningCertURL. Hosts must then be given.
	URLPath string `yaml:"url_path,omitempty" json:"url_path,omitempty"`
	// Hosts are the hosts that URLPath may name. A "*" stands for one label:
	// sns.*.amazonaws.com; "*." in front for any labels: *.paypal.com.
	Hosts []string `yaml:"hosts,omitempty" json:"hosts,omitempty"`
	// PathPattern is a regular expression that the whole path of the address
	// must match: /[^/]*\.pem. Empty allows every path.
	PathPattern string `yaml:"path_pattern,omitempty" json:"path_pattern,omitempty"`
	// Format of what stands there: jwks, jwk (one key), pem (public keys),
	// x509_pem (a certificate, with its chain), spki_der_base64, or
	// json:<path>, a key in the KeyEncoding of the scheme at that place.
	Format string `yaml:"format" json:"format"`
	// KeyID is where the request names the key, as an extract path, or
	// "param:keyid" of the signature's own parameters. A JWT names it by itself.
	KeyID string `yaml:"key_id,omitempty" json:"key_id,omitempty"`
	// Chain asks for a certificate that leads to a root that the system trusts
	// and is valid now. Without it the address alone vouches for the certificate.
	Chain bool `yaml:"chain,omitempty" json:"chain,omitempty"`
	// DNSName must be among the certificate's names: echo-api.amazon.com.
	DNSName string `yaml:"dns_name,omitempty" json:"dns_name,omitempty"`
}

// Handshake is a request by which a provider proves that the address is ours, or
// tries it, and that is no event. Package handshake gives the fields their
// meaning. Three shapes: a value is sent back (Answer.Body names it), an answer
// is computed (Compute), a secret is delivered (Store).
type Handshake struct {
	Name   string    `yaml:"name" json:"name"`                         // slug, unique in the profile: url_verification
	Method OneOrMore `yaml:"method,omitempty" json:"method,omitempty"` // GET, HEAD, OPTIONS, POST; empty: POST
	// When tells the request from an event: extract paths, each with the values
	// it may have. "*" is any value, "-" none at all. "{config:topic}" is the
	// configured value, "{config:topic?}" passes when none is configured.
	When map[string]OneOrMore `yaml:"when,omitempty" json:"when,omitempty"`
	// SignedBy says that the request must be signed before it is answered:
	// "verify" by the profile's scheme or any variant, else a variant's name.
	// Empty: it comes unsigned, or before there is a secret.
	SignedBy string `yaml:"signed_by,omitempty" json:"signed_by,omitempty"`
	// Token is the path of a value that must equal one of the secrets:
	// query:hub.verify_token.
	Token string `yaml:"token,omitempty" json:"token,omitempty"`
	// Charset bounds what is sent back or computed with: hex, token (letters,
	// digits and -._~+/=), text (anything printable but < and >). Empty: token
	// for Compute, so that no event can be passed off as a challenge, else text.
	Charset string `yaml:"charset,omitempty" json:"charset,omitempty"`
	// MaxLength of such a value in bytes. Zero means 256.
	MaxLength int             `yaml:"max_length,omitempty" json:"max_length,omitempty"`
	Compute   *Computation    `yaml:"compute,omitempty" json:"compute,omitempty"`
	Answer    HandshakeAnswer `yaml:"answer" json:"answer"`
	// Store is the path of a secret that signs from now on: header:X-Hook-Secret.
	// Unless the request is signed, it is taken only while there is no secret.
	Store string `yaml:"store,omitempty" json:"store,omitempty"`
	// Visit is the path of an address that must be fetched to confirm, VisitHosts
	// its hosts as in KeySource.Hosts: json:SubscribeURL.
	Visit      string   `yaml:"visit,omitempty" json:"visit,omitempty"`
	VisitHosts []string `yaml:"visit_hosts,omitempty" json:"visit_hosts,omitempty"`
}

// Computation is an answer that only the holder of the secret can give.
type Computation struct {
	Algorithm   string `yaml:"algorithm" json:"algorithm"`       // hmac-sha256, hmac-sha1, hmac-sha512
	Content     string `yaml:"content" json:"content"`           // the path of what is signed: query:crc_token
	Encoding    string `yaml:"encoding" json:"encoding"`         // hex, base64
	KeyEncoding string `yaml:"key_encoding" json:"key_encoding"` // as in Verification
}

// HandshakeAnswer is what a handshake is answered with. Body and header values
// are text with placeholders: a path such as {json:challenge}, {computed}
// or {config:x}. In a JSON body values are escaped.
type HandshakeAnswer struct {
	Status int               `yaml:"status,omitempty" json:"status,omitempty"` // 0: 200
	Type   string            `yaml:"type,omitempty" json:"type,omitempty"`     // application/json, text/plain; empty: no body
	Body   string            `yaml:"body,omitempty" json:"body,omitempty"`
	Header map[string]string `yaml:"header,omitempty" json:"header,omitempty"`
}
