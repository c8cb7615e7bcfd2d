package peer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

const slackPlan = `sallyport: 1
service: slack
uses: slack
need: Tell people.
environments:
  development:
    base_url: %s
    secrets: {api_key: env:KEY}
auth: {use: api_key}
endpoints:
  add_reaction: {call: POST /reactions.add, purpose: Nod., effect: create}
  list_conversations: {call: POST /conversations.list, purpose: Look., effect: read}
`

// R9.3, R4.9: slack-go, unchanged, through a host of the proxy and through its
// path, against a sandbox made from Slack's own document. It puts the key into a
// form.
func TestSlackSDK(t *testing.T) {
	t.Parallel()
	byDocument := strings.Replace(slackPlan, "POST /conversations.list", "GET /conversations.list", 1)
	provider := stand(t, byDocument, "slack_web_openapi_v2.json.gz")
	g := start(t, "slack", fmt.Sprintf(slackPlan, provider.url))
	for name, options := range map[string][]slack.Option{
		"host":            {slack.OptionAPIURL(g.host("slack") + "/"), slack.OptionHTTPClient(g.client(t))},
		"host as Slack's": {slack.OptionAPIURL(g.host("slack") + "/api/"), slack.OptionHTTPClient(g.client(t))},
		"path":            {slack.OptionAPIURL(g.url + "/api/v1/integrations/slack/proxy/")},
	} {
		t.Run(name, func(t *testing.T) {
			var last http.Header
			seen := slack.OptionOnResponseHeaders(func(_ string, h http.Header) { last = h })
			exerciseSlack(t, slack.New(g.key, append(options, seen)...), provider, &last)
		})
	}
}

// R9.3: the same through the http.RoundTripper of a Go program: the token that the
// SDK puts into every form does not reach the provider.
func TestSlackSDKFromGo(t *testing.T) {
	t.Parallel()
	byDocument := strings.Replace(slackPlan, "POST /conversations.list", "GET /conversations.list", 1)
	provider := stand(t, byDocument, "slack_web_openapi_v2.json.gz")
	g := start(t, "slack", fmt.Sprintf(slackPlan, provider.url))
	client, err := g.app.Client("slack", "acme")
	if err != nil {
		t.Fatal(err)
	}
	var last http.Header
	seen := slack.OptionOnResponseHeaders(func(_ string, h http.Header) { last = h })
	exerciseSlack(t, slack.New("xoxb-of-the-caller", slack.OptionHTTPClient(client), seen), provider, &last)
}

func exerciseSlack(t *testing.T, sdk *slack.Client, provider *upstream, last *http.Header) {
	t.Helper()
	ctx := t.Context()
	if _, err := sdk.AuthTestContext(ctx); err != nil {
		t.Fatalf("auth.test: %v", err)
	}
	ours(t, "auth.test", *last, "1")
	channel, err := sdk.CreateConversationContext(ctx, slack.CreateConversationParams{ChannelName: "general"})
	if err != nil || channel == nil {
		t.Fatalf("conversations.create: %v %v", channel, err)
	}
	ours(t, "conversations.create", *last, "1")
	_, cursor, err := sdk.GetConversationsContext(ctx, &slack.GetConversationsParameters{Limit: 10})
	if err != nil || cursor == "" {
		t.Fatalf("conversations.list: cursor %q, %v", cursor, err)
	}
	item := slack.ItemRef{Channel: "C012AB3CD", Timestamp: "1.2"}
	if err := sdk.AddReactionContext(ctx, "thumbsup", item); err != nil {
		t.Errorf("reactions.add: %v", err)
	}

	// An error inside a 200 reaches the SDK as Slack's own, and is told by us.
	_, err = sdk.GetTeamInfoContext(ctx)
	var said slack.SlackErrorResponse
	if !errors.As(err, &said) {
		t.Errorf("an error of Slack's: %v", err)
	}
	ours(t, "an error", *last, "1")

	// A read is repeated by us, once for each failure, page by page; what has an
	// effect is not.
	asked := provider.during(2, func() {
		if _, _, err := sdk.GetConversationsContext(ctx, &slack.GetConversationsParameters{Limit: 10, Cursor: cursor}); err != nil {
			t.Errorf("conversations.list in bad weather: %v", err)
		}
		ours(t, "conversations.list in bad weather", *last, "3")
	})
	if len(asked) != 3 {
		t.Errorf("the provider was asked %d times: %q", len(asked), asked)
	}
	asked = provider.during(1, func() {
		if err := sdk.AddReactionContext(ctx, "tada", item); err == nil {
			t.Error("a reaction that failed looks added")
		}
	})
	if len(asked) != 1 {
		t.Errorf("a reaction was sent %d times: %q", len(asked), asked)
	}
}
