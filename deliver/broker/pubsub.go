package broker

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
	"net/url"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// pubsubTopic publishes by the REST API of Pub/Sub (projects.topics.publish,
// v1): its one request is not worth the gRPC stack of the client library.
type pubsubTopic struct {
	address string
	client  *http.Client // with a token
	plain   *http.Client // that it sends with
}

// pubsubScope is what publishing needs (Pub/Sub documentation, "Access control").
const pubsubScope = "https://www.googleapis.com/auth/pubsub"

func openPubSub(_ context.Context, t target, o Options) (Publisher, error) {
	plain := httpClient(o)
	p := &pubsubTopic{plain: plain, client: plain}
	base := "https://pubsub.googleapis.com"
	if emulator, ok := o.Lookup("PUBSUB_EMULATOR_HOST"); ok && emulator != "" { // as all of Google's libraries do; it takes no credential
		base = "http://" + emulator
	} else {
		// The token source outlives this call, and so must its context.
		tokens, err := googleTokens(context.WithValue(context.Background(), oauth2.HTTPClient, plain), o)
		if err != nil {
			return nil, err
		}
		p.client = &http.Client{CheckRedirect: plain.CheckRedirect, Transport: &oauth2.Transport{Source: tokens, Base: plain.Transport}}
	}
	p.address = base + "/v1/projects/" + url.PathEscape(t.host) + "/topics/" + url.PathEscape(t.path) + ":publish"
	return p, nil
}

func googleTokens(ctx context.Context, o Options) (oauth2.TokenSource, error) {
	if o.Credential.IsZero() {
		found, err := google.FindDefaultCredentials(context.Background(), pubsubScope)
		if err != nil {
			return nil, errors.New("Pub/Sub: there are no credentials; name a service account's JSON as the destination's secret, or set GOOGLE_APPLICATION_CREDENTIALS")
		}
		return found.TokenSource, nil
	}
	read, err := google.JWTConfigFromJSON([]byte(o.Credential.Reveal()), pubsubScope)
	if err != nil { // its text may repeat what it could not read
		return nil, fmt.Errorf("%w: it is not the JSON of a service account", errCredential)
	}
	return read.TokenSource(ctx), nil
}

// pubsubAnswerMost bounds what is read of an answer.
const pubsubAnswerMost = 64 << 10

// attributeMost is the longest value of an attribute, in bytes (Pub/Sub quotas).
const attributeMost = 1024

// Publish returns when the topic has the message.
func (p *pubsubTopic) Publish(ctx context.Context, m Message) error {
	type message struct {
		Data       []byte            `json:"data"` // base64, as encoding/json writes bytes
		Attributes map[string]string `json:"attributes,omitempty"`
	}
	one := message{Data: m.Body, Attributes: make(map[string]string, len(m.Header))}
	for name, value := range m.Header {
		if value = oneLine(value); len(value) > attributeMost {
			return fmt.Errorf("Pub/Sub: %w: %s has %d bytes and may have %d", ErrTooLarge, name, len(value), attributeMost)
		}
		one.Attributes[name] = value
	}
	body, err := json.Marshal(map[string][]message{"messages": {one}})
	if err != nil {
		return fmt.Errorf("Pub/Sub: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.address, bytes.NewReader(body))
	if err != nil {
		return errors.New("Pub/Sub: its address can't be used")
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(r)
	if err != nil {
		return fmt.Errorf("Pub/Sub: %w", unwrapped(err))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, pubsubAnswerMost))
	if err != nil {
		return fmt.Errorf("Pub/Sub: the answer broke off: %w", err)
	}
	return pubsubAnswer(answer.StatusCode, text)
}

// pubsubAnswer says whether the topic has the message: then it has an id.
func pubsubAnswer(status int, text []byte) error {
	var said struct {
		MessageIDs []string `json:"messageIds"`
		Error      struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"error"`
	}
	known := json.Unmarshal(text, &said) == nil
	switch {
	case status == http.StatusOK && len(said.MessageIDs) == 1:
		return nil
	case status == http.StatusOK:
		return errors.New("Pub/Sub answered 200 without a message id")
	case status == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("Pub/Sub: %w", ErrTooLarge)
	case known && said.Error.Status == "INVALID_ARGUMENT" && strings.Contains(said.Error.Message, "too large"):
		return fmt.Errorf("Pub/Sub: %w", ErrTooLarge)
	case known && said.Error.Status != "":
		return fmt.Errorf("Pub/Sub answered %d: %s: %s", status, said.Error.Status, said.Error.Message)
	}
	return fmt.Errorf("Pub/Sub answered %d", status)
}

// unwrapped is what went wrong without the URL, and without the answer of a token
// endpoint.
func unwrapped(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return fmt.Errorf("no token for its credential: %s", refused.ErrorCode)
	}
	var where *url.Error
	if errors.As(err, &where) {
		return where.Err
	}
	return err
}

// Close gives idle connections up.
func (p *pubsubTopic) Close() error {
	p.plain.CloseIdleConnections()
	return nil
}

// digest is a short stand-in for a text, the same for the same text.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
