package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Where containers and instances find their credentials.
const (
	containerHost = "http://169.254.170.2"
	instanceHost  = "http://169.254.169.254"
)

// find looks for credentials in the environment, then at the container's
// endpoint, then in the instance's metadata.
func (c *Client) find(ctx context.Context) (Credentials, error) {
	get := func(name string) string { v, _ := c.config.Lookup(name); return v }
	if id, key := get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"); id != "" && key != "" {
		return Credentials{AccessKeyID: id, SecretAccessKey: integration.NewSecret(key), SessionToken: integration.NewSecret(get("AWS_SESSION_TOKEN"))}, nil
	}
	if path := get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); path != "" {
		return c.fetch(ctx, http.MethodGet, containerHost+path, nil)
	}
	if full := get("AWS_CONTAINER_CREDENTIALS_FULL_URI"); full != "" {
		return c.container(ctx, full, get)
	}
	if strings.EqualFold(get("AWS_EC2_METADATA_DISABLED"), "true") {
		return Credentials{}, errors.New("there are none: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the container or instance a role")
	}
	return c.instance(ctx, get("AWS_EC2_METADATA_SERVICE_ENDPOINT"))
}

// container asks an endpoint of ECS or of EKS Pod Identity. Only a loopback or
// link-local address, or HTTPS, gets the token.
func (c *Client) container(ctx context.Context, address string, get func(string) string) (Credentials, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Credentials{}, errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback() && !ip.IsLinkLocalUnicast()) {
		return Credentials{}, errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor of this machine")
	}
	token := get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
	if file := get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return Credentials{}, fmt.Errorf("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: %w", err)
		}
		token = strings.TrimSpace(string(b))
	}
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", token)
	}
	return c.fetch(ctx, http.MethodGet, address, header)
}

// instance asks the metadata of an EC2 instance, version 2: a token first, then
// the name of the role, then its credentials.
func (c *Client) instance(ctx context.Context, host string) (Credentials, error) {
	if host == "" {
		host = instanceHost
	}
	host = strings.TrimSuffix(host, "/")
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	token, err := c.read(ctx, http.MethodPut, host+"/latest/api/token", http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"300"}})
	if err != nil {
		return Credentials{}, fmt.Errorf("the instance's metadata do not answer; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the instance a role: %w", err)
	}
	header := http.Header{"X-Aws-Ec2-Metadata-Token": {string(token)}}
	const roles = "/latest/meta-data/iam/security-credentials/"
	role, err := c.read(ctx, http.MethodGet, host+roles, header)
	if err != nil {
		return Credentials{}, fmt.Errorf("the instance has no role: %w", err)
	}
	name, _, _ := strings.Cut(string(role), "\n")
	return c.fetch(ctx, http.MethodGet, host+roles+url.PathEscape(strings.TrimSpace(name)), header)
}

func (c *Client) fetch(ctx context.Context, method, address string, header http.Header) (Credentials, error) {
	b, err := c.read(ctx, method, address, header)
	if err != nil {
		return Credentials{}, err
	}
	defer clear(b)
	var out struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		Expiration      time.Time
	}
	if json.Unmarshal(b, &out) != nil || out.AccessKeyID == "" || out.SecretAccessKey == "" {
		return Credentials{}, errors.New("the credential endpoint's answer is not as documented")
	}
	return Credentials{
		AccessKeyID: out.AccessKeyID, SecretAccessKey: integration.NewSecret(out.SecretAccessKey), SessionToken: integration.NewSecret(out.Token), Expires: out.Expiration,
	}, nil
}

func (c *Client) read(ctx context.Context, method, address string, header http.Header) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	if header != nil {
		r.Header = header.Clone()
	}
	resp, err := c.config.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", r.URL.Host, resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}
