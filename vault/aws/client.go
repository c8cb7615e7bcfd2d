// Package aws reads secrets from the Systems Manager Parameter Store and has
// the Key Management Service seal data keys, over their HTTP API: JSON 1.1
// requests signed with Signature Version 4.
//
// The credentials are found as the AWS tools do: in the environment, from the
// container's credential endpoint (ECS, EKS Pod Identity), or from the
// instance's metadata (IMDSv2). Profiles, SSO and web identity are not: they
// are for laptops, or come through one of the above.
package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sallyport/sallyport/integration"
)

// Config says where the services are and who we are there.
type Config struct {
	// Region, such as eu-central-1.
	Region string
	// Credentials returns what to sign with; it is asked again when what it
	// returned expires. Nil means the environment, then the container, then the
	// instance.
	Credentials func(ctx context.Context) (Credentials, error)
	// Endpoint is in place of https://SERVICE.REGION.amazonaws.com, for
	// endpoints of a private network; empty: the usual.
	Endpoint string
	// Lookup reads the environment.
	Lookup func(string) (string, bool)
	// HTTP does the requests; nil means a client with a timeout of 10 seconds.
	HTTP *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Credentials are what requests are signed with.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey integration.Secret
	SessionToken    integration.Secret
	Expires         time.Time // zero: never
}

// Client talks to the services of one region. It is safe for use by many
// goroutines.
type Client struct {
	config Config
	signer *v4.Signer

	mu          sync.Mutex
	credentials Credentials
}

// New makes a Client; it asks nobody anything yet.
func New(c Config) (*Client, error) {
	if c.Lookup == nil {
		c.Lookup = func(string) (string, bool) { return "", false }
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if v, ok := c.Lookup(name); ok && c.Region == "" {
			c.Region = v
		}
	}
	if c.Region == "" {
		return nil, errors.New("the AWS region is not known: set AWS_REGION")
	}
	if v, ok := c.Lookup("AWS_ENDPOINT_URL"); ok && c.Endpoint == "" {
		c.Endpoint = v
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	client := &Client{config: c, signer: v4.NewSigner()}
	if c.Credentials == nil {
		client.config.Credentials = client.find
	}
	return client, nil
}

// maxAnswer bounds an answer; a parameter has at most 8 KB.
const maxAnswer = 1 << 20

// do asks one action of a service.
func (c *Client) do(ctx context.Context, service, target string, in, out any) error {
	credentials, err := c.current(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	defer clear(body)
	endpoint := c.config.Endpoint
	if endpoint == "" {
		endpoint = "https://" + service + "." + c.config.Region + "." + domain(c.config.Region)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", service, err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	sum := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, sdk.Credentials{
		AccessKeyID: credentials.AccessKeyID, SecretAccessKey: credentials.SecretAccessKey.Reveal(), SessionToken: credentials.SessionToken.Reveal(),
	}, r, hex.EncodeToString(sum[:]), service, c.config.Region, c.config.Now().UTC()); err != nil {
		return fmt.Errorf("%s: signing: %w", service, err)
	}
	resp, err := c.config.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", service, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: the answer broke off: %w", service, err)
	}
	defer clear(b)
	if resp.StatusCode >= 300 {
		return refusal(service, resp.StatusCode, b)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s: the answer is not as documented", service)
	}
	return nil
}

// domain is where the services of a region are.
func domain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// refusal is what a service said no with: {"__type":"…#Code","message":"…"}.
func refusal(service string, status int, body []byte) error {
	var p struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Upper   string `json:"Message"`
	}
	if json.Unmarshal(body, &p) != nil || p.Type == "" {
		return fmt.Errorf("%s answered %d", service, status)
	}
	code := p.Type[strings.LastIndex(p.Type, "#")+1:]
	if p.Message == "" {
		p.Message = p.Upper
	}
	return fmt.Errorf("%s answered %d: %s: %s", service, status, code, p.Message)
}

// early is how long before their end credentials are replaced.
const early = 5 * time.Minute

func (c *Client) current(ctx context.Context) (Credentials, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	has := c.credentials
	now := c.config.Now()
	if has.AccessKeyID != "" && (has.Expires.IsZero() || now.Add(early).Before(has.Expires)) {
		return has, nil
	}
	fresh, err := c.config.Credentials(ctx)
	if err != nil {
		if has.AccessKeyID != "" && now.Before(has.Expires) {
			return has, nil
		}
		return Credentials{}, fmt.Errorf("AWS credentials: %w", err)
	}
	c.credentials = fresh
	return fresh, nil
}
