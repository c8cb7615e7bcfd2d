package catalog_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
)

const pageFile = "../docs/providers.md"

const pageHead = `# Providers

What the catalog knows, one row a provider. The file is made from the profiles in ` + "`catalog/providers`" + `:
` + "`go test ./catalog -run 'TestIndex|TestProvidersPage' -update`" + `. The facts themselves, each with its source, are shown by
` + "`sallyport catalog show PROVIDER`" + `; where they are from stands in [catalog/SOURCES.md](../catalog/SOURCES.md).

Confidence of each part: **d** read in the provider's documentation, **s** read in its SDK, **r** read in a public repository,
**?** remembered only; a part of which nothing is known is left out. A fact that is remembered only and that a plan rests on is a
finding of the review until a person confirms it.

| provider | category | credentials | webhooks signed with | limits with a number | confidence |
| --- | --- | --- | --- | --- | --- |
`

// docs/providers.md is what the profiles say.
func TestProvidersPage(t *testing.T) {
	t.Parallel()
	marks := map[catalog.Confidence]string{catalog.Documented: "d", catalog.FromSDK: "s", catalog.FromRepo: "r", catalog.Recalled: "?"}
	var b strings.Builder
	b.WriteString(pageHead)
	for _, p := range profiles(t) {
		s := catalog.Of(p)
		var sure []string
		for _, part := range []string{"api", "auth", "limits", "errors", "pagination", "webhooks"} {
			if c, ok := s.Confidence[part]; ok {
				sure = append(sure, part+" "+marks[c])
			}
		}
		scheme := strings.ReplaceAll(s.Webhooks, "_", " ")
		if scheme == "hmac" {
			scheme = p.Webhooks.Verify.Algorithm
		}
		kinds := strings.ReplaceAll(strings.Join(s.Auth, ", "), "_", " ")
		fmt.Fprintf(&b, "| %s (`%s`) | %s | %s | %s | %d | %s |\n", s.Name, s.ID, s.Category, or(kinds), or(scheme), s.Limits, strings.Join(sure, ", "))
	}
	if *update {
		if err := os.WriteFile(pageFile, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(pageFile); err != nil || string(got) != b.String() {
		t.Error("docs/providers.md is not what the profiles say; make it anew: go test ./catalog -run 'TestIndex|TestProvidersPage' -update")
	}
}

func or(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
