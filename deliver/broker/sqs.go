package broker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// sqsQueue sends to one queue.
type sqsQueue struct {
	client *sqs.Client
	url    string
	http   *http.Client
}

func openSQS(ctx context.Context, t target, o Options) (Publisher, error) {
	region, err := t.region(o.Lookup)
	if err != nil {
		return nil, err
	}
	load := []func(*config.LoadOptions) error{config.WithRegion(region), config.WithRetryMaxAttempts(1)}
	if !o.Credential.IsZero() {
		id, secret, err := pair(o.Credential)
		if err != nil {
			return nil, err
		}
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, secret, "")))
	}
	loaded, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("SQS: %w", err)
	}
	base := map[bool]string{true: "https://", false: "http://"}[t.tls(true)] + t.host
	q := &sqsQueue{url: base + "/" + t.path, http: httpClient(o)}
	q.client = sqs.NewFromConfig(loaded, func(s *sqs.Options) {
		s.BaseEndpoint, s.HTTPClient = aws.String(base), q.http
	})
	return q, nil
}

// region of the queue: from the setting, the host, or the environment.
func (t target) region(lookup func(string) (string, bool)) (string, error) {
	if r := t.query.Get("region"); r != "" {
		return r, nil
	}
	if parts := strings.Split(t.host, "."); len(parts) > 3 && parts[0] == "sqs" {
		return parts[1], nil
	}
	if lookup == nil {
		return "", nil
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if r, ok := lookup(name); ok && r != "" {
			return r, nil
		}
	}
	return "", errors.New("SQS: the region is not known; add ?region= to the address or set AWS_REGION")
}

// attributesMost is how many attributes a message may have (SQS developer guide,
// "Message quotas").
const attributesMost = 10

// The names of attributes that we add: the rest of the header as one JSON object,
// and how a body that is no text is written.
const (
	attributeHeader   = "sallyport-header"
	attributeEncoding = "sallyport-encoding"
)

// Publish returns when the queue has the message.
func (q *sqsQueue) Publish(ctx context.Context, m Message) error {
	in := &sqs.SendMessageInput{QueueUrl: &q.url, MessageAttributes: map[string]types.MessageAttributeValue{}}
	for name, value := range sqsHeader(m) {
		if value != "" { // an attribute can't be empty
			in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
		}
	}
	body := string(m.Body)
	if !sqsText(m.Body) {
		body = base64.StdEncoding.EncodeToString(m.Body)
		in.MessageAttributes[attributeEncoding] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("base64")}
	}
	in.MessageBody = &body
	if strings.HasSuffix(q.url, ".fifo") {
		group := m.Key
		if group == "" {
			group = m.ID
		}
		in.MessageGroupId, in.MessageDeduplicationId = aws.String(sqsToken(group)), aws.String(sqsToken(m.ID))
	}
	_, err := q.client.SendMessage(ctx, in)
	var refused smithy.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		if strings.Contains(refused.ErrorMessage(), "must be shorter") || strings.Contains(refused.ErrorCode(), "TooLong") {
			return fmt.Errorf("SQS: %w", ErrTooLarge)
		}
		return fmt.Errorf("SQS refused it: %s: %s", refused.ErrorCode(), refused.ErrorMessage())
	}
	return fmt.Errorf("SQS: %w", err)
}

// Close gives idle connections up.
func (q *sqsQueue) Close() error {
	q.http.CloseIdleConnections()
	return nil
}

// sqsHeader is the metadata as attributes. Where there is more than a message
// may have, the provider's headers travel together as one JSON object; ours stay
// attributes, so that filters can use them.
func sqsHeader(m Message) map[string]string {
	out, rest := map[string]string{}, map[string]string{}
	for name, value := range m.Header {
		if value = sqsClean(value); len(m.Header) < attributesMost || ours(name) {
			out[name] = value
		} else {
			rest[name] = value
		}
	}
	if len(rest) > 0 {
		b, _ := json.Marshal(rest) //nolint:errchkjson // texts
		out[attributeHeader] = string(b)
	}
	return out
}

// ours reports whether a name of metadata is one that we gave.
func ours(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "ce-") || strings.HasPrefix(name, "sallyport-") || name == "content-type"
}

// sqsText reports whether a body may be sent as it is (API reference,
// SendMessage: the characters of XML 1.0).
func sqsText(body []byte) bool {
	if len(body) == 0 || !utf8.Valid(body) {
		return false
	}
	for _, r := range string(body) {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}

func sqsClean(s string) string { return oneLine(s) }

// sqsToken is an id of at most 128 letters, digits and signs, as groups and
// deduplication ids have to be.
func sqsToken(s string) string {
	fine := len(s) <= 128
	for i := 0; fine && i < len(s); i++ {
		fine = s[i] > ' ' && s[i] < 0x7f
	}
	if fine && s != "" {
		return s
	}
	return digest(s)
}

// httpClient makes one request at a time to a broker that speaks HTTP; it follows
// no redirect.
func httpClient(o Options) *http.Client {
	return &http.Client{
		Timeout:       time.Minute, // the context's own time is shorter
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: o.Dial, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second,
			ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
		},
	}
}
