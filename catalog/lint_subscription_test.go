package catalog_test

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/catalog"
)

// R5.15: what a subscription can't do without is asked for.
func TestLintSubscription(t *testing.T) {
	t.Parallel()
	p, err := catalog.Load("slack")
	if err != nil {
		t.Fatal(err)
	}
	p.Webhooks.Subscription = &catalog.Subscription{
		Provenance: p.Webhooks.Subscription.Provenance, List: "GET /hooks",
		Document:   &catalog.SubscriptionDocument{Kinds: map[string]map[string]string{"a": {"b": "c"}}},
		Credential: &catalog.SubscriptionCredential{Renew: &catalog.SubscriptionRenewal{}},
	}
	p.Webhooks.Subscription.Unsure = nil
	var found []string
	for _, f := range catalog.Lint(p) {
		found = append(found, f.Path+" "+f.Rule)
	}
	const at = "webhooks.subscription"
	want := []string{
		at + ".document required", at + ".document.at required", at + ".document.id required", at + ".document.part required", at + ".url required", at + ".events required",
		at + ".document contradiction", at + ".document.scopes required", at + ".credential.secret required", at + ".credential.new required", at + ".by_hand required",
		at + ".credential.renew required",
	}
	slices.Sort(found)
	slices.Sort(want)
	if !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
}
