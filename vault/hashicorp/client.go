// Package hashicorp reads secrets from HashiCorp Vault or OpenBao and has their
// transit engine seal data keys, over their HTTP API.
//
// What it speaks: KV version 2 (GET /v1/MOUNT/data/PATH), transit (POST
// /v1/MOUNT/encrypt|decrypt/KEY), and the logins AppRole and Kubernetes. Both
// servers document these at https://openbao.org/api-docs/ and
// https://developer.hashicorp.com/vault/api-docs.
package hashicorp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Config says where the server is and who we are there. One of Token, AppRole
// and Kubernetes is needed.
type Config struct {
	Address   string             // https://vault.example:8200
	Namespace string             // Vault Enterprise and OpenBao namespaces; empty: the root
	Token     integration.Secret // a token; its renewal is its owner's business
	AppRole   AppRole
	// Kubernetes logs in with the pod's own token.
	Kubernetes Kubernetes
	// HTTP does the requests; nil means a client with a timeout of 10 seconds
	// that follows no redirect, because the token would go along.
	HTTP *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// AppRole is a login with a role and a secret.
type AppRole struct {
	Mount    string // empty: approle
	RoleID   string
	SecretID func() (integration.Secret, error) // read at each login, so that it can be swapped
}

// Kubernetes is a login with a service account.
type Kubernetes struct {
	Mount string                             // empty: kubernetes
	Role  string                             // of the server
	Token func() (integration.Secret, error) // read at each login: pods get a new one every hour
}

// Client talks to one server. It is safe for use by many goroutines.
type Client struct {
	config Config

	mu     sync.Mutex
	token  integration.Secret
	expire time.Time // zero: the token is the configured one
}

// New makes a Client; it asks the server nothing yet.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("the address of the vault, %q, is no URL; set VAULT_ADDR, as https://vault.example:8200", c.Address)
	}
	if c.Token.IsZero() && c.AppRole.RoleID == "" && c.Kubernetes.Role == "" {
		return nil, errors.New("there is no way to log in to the vault: set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_KUBERNETES_ROLE")
	}
	c.Address = strings.TrimSuffix(c.Address, "/")
	if c.HTTP == nil {
		c.HTTP = newHTTP(nil)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Client{config: c, token: c.Token}, nil
}

func newHTTP(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// serviceAccount is where Kubernetes puts a pod's token.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token" //nolint:gosec // the place of a token, not a token

// FromEnvironment reads the variables that the servers' own programs use:
// VAULT_ADDR (or BAO_ADDR), VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT; and for
// the logins VAULT_ROLE_ID with VAULT_SECRET_ID or VAULT_SECRET_ID_FILE, and
// VAULT_KUBERNETES_ROLE. VAULT_AUTH_MOUNT names the mount of the login when it
// is not the usual one.
func FromEnvironment(lookup func(string) (string, bool)) (*Client, error) {
	get := func(name string) string {
		if v, ok := lookup("VAULT_" + name); ok {
			return v
		}
		v, _ := lookup("BAO_" + name)
		return v
	}
	c := Config{Address: get("ADDR"), Namespace: get("NAMESPACE"), Token: integration.NewSecret(get("TOKEN"))}
	if role := get("ROLE_ID"); role != "" {
		secret := func() (integration.Secret, error) { return integration.NewSecret(get("SECRET_ID")), nil }
		if file := get("SECRET_ID_FILE"); file != "" {
			secret = func() (integration.Secret, error) { return readFile(file) }
		}
		c.AppRole = AppRole{Mount: get("AUTH_MOUNT"), RoleID: role, SecretID: secret}
	}
	if role := get("KUBERNETES_ROLE"); role != "" {
		file := get("KUBERNETES_TOKEN_FILE")
		if file == "" {
			file = serviceAccount
		}
		c.Kubernetes = Kubernetes{Mount: get("AUTH_MOUNT"), Role: role, Token: func() (integration.Secret, error) { return readFile(file) }}
	}
	if file := get("CACERT"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("VAULT_CACERT: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("VAULT_CACERT: %s holds no certificate", file)
		}
		c.HTTP = newHTTP(roots)
	}
	return New(c)
}

func readFile(path string) (integration.Secret, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return integration.Secret{}, err
	}
	return integration.NewSecret(strings.TrimSpace(string(b))), nil
}

// answer is what every request is answered with.
type answer struct {
	Data   json.RawMessage `json:"data"`
	Errors []string        `json:"errors"`
	Auth   *struct {
		ClientToken   string `json:"client_token"`
		LeaseDuration int    `json:"lease_duration"` // seconds
	} `json:"auth"`
}

// StatusError is a request that the server refused. Its text is the server's
// own, without what was asked.
type StatusError struct {
	Status int
	Text   string
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("the vault answered %d", e.Status)
	if e.Text != "" {
		s += ": " + e.Text
	}
	switch e.Status {
	case http.StatusForbidden:
		s += "; the policy of our token must allow it"
	case http.StatusNotFound:
		s += "; there is nothing at this path"
	case http.StatusServiceUnavailable:
		s += "; it is sealed"
	}
	return s
}

// do asks with a token; one that is refused is replaced by logging in again,
// once.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	for try := 0; ; try++ {
		token, fresh, err := c.login(ctx)
		if err != nil {
			return err
		}
		a, err := c.request(ctx, method, path, query, token, in)
		var status *StatusError
		if errors.As(err, &status) && status.Status == http.StatusForbidden && try == 0 && !fresh {
			c.forget(token)
			continue
		}
		if err != nil {
			return err
		}
		if out == nil {
			return nil
		}
		if err := json.Unmarshal(a.Data, out); err != nil {
			return errors.New("the vault's answer is not as documented")
		}
		return nil
	}
}

// maxAnswer bounds an answer; the servers themselves take no larger secrets.
const maxAnswer = 2 << 20

func (c *Client) request(ctx context.Context, method, path string, query url.Values, token integration.Secret, in any) (*answer, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	address := c.config.Address + "/v1/" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	r.Header.Set("X-Vault-Request", "true")
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if !token.IsZero() {
		r.Header.Set("X-Vault-Token", token.Reveal())
	}
	if c.config.Namespace != "" {
		r.Header.Set("X-Vault-Namespace", c.config.Namespace)
	}
	resp, err := c.config.HTTP.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the vault does not answer: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the vault's answer broke off: %w", err)
	}
	defer clear(b)
	var a answer
	parsed := json.Unmarshal(b, &a)
	if resp.StatusCode >= 300 {
		return nil, &StatusError{Status: resp.StatusCode, Text: strings.Join(a.Errors, "; ")}
	}
	if parsed != nil && resp.StatusCode != http.StatusNoContent {
		return nil, errors.New("the vault's answer is not as documented")
	}
	return &a, nil
}

// login returns a token; fresh says that it was made just now.
func (c *Client) login(ctx context.Context) (token integration.Secret, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.config.Token.IsZero() {
		return c.config.Token, true, nil
	}
	if !c.token.IsZero() && c.config.Now().Before(c.expire) {
		return c.token, false, nil
	}
	path, in, err := c.credentials()
	if err != nil {
		return token, false, err
	}
	a, err := c.request(ctx, http.MethodPost, path, nil, integration.Secret{}, in)
	if err != nil {
		return token, false, fmt.Errorf("logging in at %s: %w", path, err)
	}
	if a.Auth == nil || a.Auth.ClientToken == "" {
		return token, false, fmt.Errorf("logging in at %s: the vault gave no token", path)
	}
	c.token = integration.NewSecret(a.Auth.ClientToken)
	lasts := time.Duration(a.Auth.LeaseDuration) * time.Second
	if lasts <= 0 {
		lasts = time.Hour
	}
	c.expire = c.config.Now().Add(lasts * 4 / 5)
	return c.token, true, nil
}

func (c *Client) credentials() (path string, in map[string]string, err error) {
	mount, name, read := c.config.AppRole.Mount, "approle", c.config.AppRole.SecretID
	in = map[string]string{"role_id": c.config.AppRole.RoleID}
	field := "secret_id"
	if c.config.AppRole.RoleID == "" {
		mount, name, read, field = c.config.Kubernetes.Mount, "kubernetes", c.config.Kubernetes.Token, "jwt"
		in = map[string]string{"role": c.config.Kubernetes.Role}
	}
	if mount == "" {
		mount = name
	}
	if read != nil {
		secret, err := read()
		if err != nil {
			return "", nil, fmt.Errorf("logging in to the vault with %s: %w", name, err)
		}
		in[field] = secret.Reveal()
	}
	return "auth/" + escape(mount) + "/login", in, nil
}

// forget drops a token that was refused, unless another took its place.
func (c *Client) forget(token integration.Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.expire = time.Time{}
	}
}

// escape keeps a path's slashes and nothing else that means something in a URL.
func escape(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
