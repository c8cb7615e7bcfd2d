package draft_test

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/draft/internal/needs"
)

// R8.2: "its" and "them" refer to what is to be made, not to the occasion between,
// and what follows a thing receives its events, by their name or by the words of
// the need; what else bears the name of a part stays out.
func TestReferences(t *testing.T) {
	t.Parallel()
	set, err := needs.Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	profile, err := catalog.Load("github")
	if err != nil {
		t.Fatal(err)
	}
	for need, want := range map[string]struct{ calls, events, never []string }{
		"Open an issue when a customer reports a bug and follow its comments": {
			calls:  []string{"POST /repos/{owner}/{repo}/issues", "GET /repos/{owner}/{repo}/issues/comments/{comment_id}"},
			events: []string{"issue_comment"},
			never:  []string{"GET /gists/{gist_id}/comments/{comment_id}"},
		},
		"Create a repository for each new project and watch its pull requests": {
			calls:  []string{"POST /user/repos", "GET /repos/{owner}/{repo}/pulls/{pull_number}"},
			events: []string{"pull_request"},
		},
		"Invite a customer to our organization and remove them when they leave": {
			calls: []string{"POST /orgs/{org}/invitations", "DELETE /orgs/{org}/invitations/{invitation_id}"},
			never: []string{"DELETE /orgs/{org}/properties/schema/{custom_property_name}"}, // customers are not custom
		},
	} {
		p, _, err := draft.Write(draft.Input{Service: "github", Need: need, Profile: profile, Document: set.Documents["github"], Now: today})
		if err != nil {
			t.Fatal(err)
		}
		got := calls(p)
		for _, call := range want.calls {
			if !slices.Contains(got, call) {
				t.Errorf("%q: %s is not among %v", need, call, got)
			}
		}
		for _, call := range want.never {
			if slices.Contains(got, call) {
				t.Errorf("%q: %s was picked", need, call)
			}
		}
		for _, event := range want.events {
			if _, ok := p.Webhooks.Events[event]; !ok {
				t.Errorf("%q: no event %s but %v", need, event, p.Webhooks)
			}
		}
	}
}
