package peer

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-github/v75/github"
)

const githubPlan = `sallyport: 1
service: github
uses: github
need: Keep milestones in step.
environments:
  development:
    base_url: %s
    secrets: {api_key: env:KEY}
auth: {use: api_key}
endpoints:
  create_milestone: {call: "POST /repos/{owner}/{repo}/milestones", purpose: Plan., effect: create}
  get_milestone: {call: "GET /repos/{owner}/{repo}/milestones/{milestone_number}", purpose: Look., effect: read}
  list_milestones: {call: "GET /repos/{owner}/{repo}/milestones", purpose: Look., effect: read}
`

// R9.3, R4: go-github, unchanged, through a host of the proxy, through its path
// and through our client, against a sandbox made from GitHub's own document.
func TestGitHubSDK(t *testing.T) {
	t.Parallel()
	provider := stand(t, githubPlan, "api.github.com.json.gz")
	g := start(t, "github", fmt.Sprintf(githubPlan, provider.url))
	client, err := g.app.Client("github", "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		name string
		sdk  *github.Client
		base string
	}{
		{"host", github.NewClient(g.client(t)).WithAuthToken(g.key), g.host("github") + "/"},
		{"path", github.NewClient(nil).WithAuthToken(g.key), g.url + "/api/v1/integrations/github/proxy/"},
		{"client", github.NewClient(client).WithAuthToken("from-the-plan"), ""},
	} {
		t.Run(way.name, func(t *testing.T) {
			if way.base != "" {
				base, err := url.Parse(way.base)
				if err != nil {
					t.Fatal(err)
				}
				way.sdk.BaseURL = base
			}
			exerciseGitHub(t, way.sdk, provider)
		})
	}
}

func exerciseGitHub(t *testing.T, sdk *github.Client, provider *upstream) {
	t.Helper()
	ctx := t.Context()
	stone, resp, err := sdk.Issues.CreateMilestone(ctx, "acme", "shop", &github.Milestone{Title: github.Ptr("v1"), Description: github.Ptr("First")})
	if err != nil || stone.GetTitle() != "v1" {
		t.Fatalf("create: %v, %v", stone, err)
	}
	ours(t, "create", resp.Header, "1")
	again, resp, err := sdk.Issues.GetMilestone(ctx, "acme", "shop", stone.GetNumber())
	if err != nil || again.GetTitle() != "v1" || again.GetID() != stone.GetID() {
		t.Errorf("get: %v, %v", again, err)
	}
	ours(t, "get", resp.Header, "1")
	listMilestones(t, sdk)
	_, resp, err = sdk.Issues.GetMilestone(ctx, "acme", "shop", 999_999)
	var said *github.ErrorResponse
	if !errors.As(err, &said) || said.Response.StatusCode != http.StatusNotFound {
		t.Errorf("what is not there: %v", err)
	} else {
		ours(t, "what is not there", resp.Header, "1")
	}

	// A read is repeated by us, once for each failure; a create is not.
	asked := provider.during(2, func() {
		if _, resp, err = sdk.Issues.GetMilestone(ctx, "acme", "shop", stone.GetNumber()); err != nil {
			t.Errorf("get in bad weather: %v", err)
			return
		}
		ours(t, "get in bad weather", resp.Header, "3")
	})
	if len(asked) != 3 {
		t.Errorf("the provider was asked %d times: %q", len(asked), asked)
	}
	asked = provider.during(1, func() {
		_, resp, err = sdk.Issues.CreateMilestone(ctx, "acme", "shop", &github.Milestone{Title: github.Ptr("Twice?")})
		if !errors.As(err, &said) || said.Response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("create in bad weather: %v", err)
			return
		}
		ours(t, "create in bad weather", resp.Header, "1")
	})
	if len(asked) != 1 {
		t.Errorf("a create was sent %d times: %q", len(asked), asked)
	}
}

// listMilestones walks the pages as the SDK tells.
func listMilestones(t *testing.T, sdk *github.Client) {
	t.Helper()
	if _, _, err := sdk.Issues.CreateMilestone(t.Context(), "acme", "shop", &github.Milestone{Title: github.Ptr("v2")}); err != nil {
		t.Fatalf("create: %v", err)
	}
	titles := map[string]bool{}
	options := &github.MilestoneListOptions{ListOptions: github.ListOptions{PerPage: 1}}
	for page := 1; page <= 3; page++ {
		stones, resp, err := sdk.Issues.ListMilestones(t.Context(), "acme", "shop", options)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		ours(t, "list", resp.Header, "1")
		for _, stone := range stones {
			titles[stone.GetTitle()] = true
		}
		t.Logf("page %d: %d of %d, next %d", page, len(stones), len(titles), resp.NextPage)
		if resp.NextPage == 0 {
			break
		}
		options.Page = resp.NextPage
	}
	if !titles["v1"] || !titles["v2"] {
		t.Errorf("the pages hold %v", titles)
	}
}
