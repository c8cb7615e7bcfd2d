package draft_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/plan"
)

// handEdit changes a plan's text as a person would.
func handEdit(t *rapid.T, lines []string) []string {
	at := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
	l := lines[at]
	indent := l[:len(l)-len(strings.TrimLeft(l, " "))]
	switch rapid.SampledFrom([]string{"comment above", "comment behind", "empty line", "value", "timeout", "drop", "need"}).Draw(t, "edit") {
	case "comment above":
		text := rapid.StringMatching(`[a-zA-Zäß€ :{}'"-]{0,30}`).Draw(t, "comment")
		return slices.Insert(lines, at, indent+"# "+text)
	case "comment behind":
		if strings.TrimSpace(l) != "" && !strings.Contains(l, "#") {
			lines[at] = l + "   # ours"
		}
	case "empty line":
		return slices.Insert(lines, at, strings.Repeat(" ", rapid.IntRange(0, 3).Draw(t, "spaces")))
	case "value":
		for _, swap := range [][2]string{{"wait: 5s", "wait: 9s"}, {"headroom: 80%", "headroom:   55%"}, {"90d", "30d"}, {"[ops]", "[ops, 'payments']"}, {"fallback: queue", "fallback: fail"}} {
			lines[at] = strings.Replace(lines[at], swap[0], swap[1], 1)
		}
	case "timeout":
		if strings.HasPrefix(strings.TrimSpace(l), "timeout: ") {
			lines[at] = indent + fmt.Sprintf("timeout: %ds", rapid.IntRange(1, 60).Draw(t, "seconds"))
		}
	case "drop":
		if strings.HasPrefix(l, "    why: ") {
			return slices.Delete(lines, at, at+1)
		}
	case "need":
		if strings.HasPrefix(l, "need: ") {
			lines[at] = "need: Something else altogether"
		}
	}
	return lines
}

// R8.3: whatever people do to a plan, planning again takes nothing of it away:
// every line stands, in order, and a second time nothing is added.
func TestHandEditsSurvive(t *testing.T) {
	t.Parallel()
	const small = "Send an invoice and follow its status"
	p, _ := write(t, input(t, "stripe", small))
	if p.Webhooks == nil || len(p.Mappings) == 0 {
		t.Fatal("the plan is too small to show anything")
	}
	in := input(t, "stripe", small)
	in.Need += "; refund a charge"
	in.Endpoints = []string{"GET /v1/balance"}
	other, _ := write(t, in)
	written := strings.Split(string(marshal(t, p)), "\n")
	rapid.Check(t, func(t *rapid.T) {
		lines := slices.Clone(written)
		for range rapid.IntRange(1, 12).Draw(t, "edits") {
			lines = handEdit(t, lines)
		}
		edited := []byte(strings.Join(lines, "\n"))
		if _, err := plan.Parse("edited.yaml", edited, catalog.Load); err != nil {
			return // the edit broke the plan; Merge refuses it
		}
		for _, fresh := range []*plan.Plan{p, other} {
			merged, changes, err := draft.Merge(edited, fresh)
			if err != nil {
				t.Fatal(err)
			}
			if fresh == p && bytes.Contains(edited, []byte("need: "+small)) && !bytes.Equal(merged, edited) {
				t.Fatalf("the same need changed the file: %v", changes.Added)
			}
			subsequence(t, edited, merged)
			if _, err := plan.Parse("merged.yaml", merged, catalog.Load); err != nil {
				t.Fatal(err)
			}
			if again, changes, err := draft.Merge(merged, fresh); err != nil || !bytes.Equal(again, merged) {
				t.Fatalf("a second time adds %+v, %v", changes, err)
			}
		}
	})
}

// subsequence checks that all lines of before stand in after, in order and
// unchanged to the byte.
func subsequence(t *rapid.T, before, after []byte) {
	rest := strings.Split(string(after), "\n")
	for _, line := range strings.Split(strings.TrimRight(string(before), "\n"), "\n") {
		i := slices.Index(rest, line)
		if i < 0 {
			t.Fatalf("the line %q is gone or moved", line)
		}
		rest = rest[i+1:]
	}
}

// R8.3: one more endpoint is that endpoint and what it brings, nothing else.
func TestOneMoreEndpointIsASmallDiff(t *testing.T) {
	t.Parallel()
	p, _ := write(t, input(t, "stripe", need))
	before := marshal(t, p)
	in := input(t, "stripe", need)
	in.Endpoints = []string{"GET /v1/balance"}
	fresh, _ := write(t, in)
	after, changes, err := draft.Replan(before, fresh, in)
	if err != nil {
		t.Fatal(err)
	}
	onlyAdded(t, before, after)
	var added []string
	for _, path := range changes.Added {
		if path != "endpoints.get_balance" && path != "mappings.balance" && !strings.HasPrefix(path, "mappings.balance_") && !strings.HasPrefix(path, "open_questions (endpoint.get_balance") {
			added = append(added, path)
		}
	}
	if len(added) > 0 || !slices.Contains(changes.Added, "endpoints.get_balance") {
		t.Errorf("added %v", changes.Added)
	}
	if n := bytes.Count(after, []byte("\n")) - bytes.Count(before, []byte("\n")); n > 30 {
		t.Errorf("%d lines for one endpoint", n)
	}
}

// Answers given when planning again are written where the file is silent, and
// told where it is not.
func TestReplanWithAnswers(t *testing.T) {
	t.Parallel()
	in := input(t, "stripe", need)
	p, _ := write(t, in)
	before := strings.Replace(string(marshal(t, p)), "  tenant: json:data.object.metadata.tenant_id\n", "", 1)
	in.Answers = draft.Answers{
		Owner: "payments: the team", Tenant: "json:account", Decision: "buy", Environments: []draft.Environment{{Name: "development", BaseURL: "https://x.example"}, {Name: "staging"}},
		Effects: map[string]plan.Effect{"create_invoice": plan.EffectUpdate}, Destinations: map[string]string{"app": "https://new.example", "audit": "https://audit.example"},
	}
	in.Events = []string{"charge.refunded"}
	fresh, _ := write(t, in)
	after, changes, err := draft.Replan([]byte(before), fresh, in)
	if err != nil {
		t.Fatal(err)
	}
	onlyAdded(t, []byte(before), after)
	merged, err := plan.Parse("merged.yaml", after, catalog.Load)
	if err != nil {
		t.Fatalf("%v\n%s", err, after)
	}
	if merged.Monitoring.Owner != "payments: the team" || merged.Webhooks.Tenant != "json:account" || merged.Destinations["audit"].URL != "https://audit.example" {
		t.Errorf("owner %q, tenant %q, destinations %v", merged.Monitoring.Owner, merged.Webhooks.Tenant, merged.Destinations)
	}
	if _, there := merged.Environments["staging"]; !there || merged.Endpoints["create_invoice"].Effect != plan.EffectCreate || merged.Decision.Choice != "build" {
		t.Errorf("environments %v, effect %s, decision %s", merged.Environments, merged.Endpoints["create_invoice"].Effect, merged.Decision.Choice)
	}
	if _, there := merged.Webhooks.Events["charge.refunded"]; !there {
		t.Error("an event that was named did not come in")
	}
	var left []string
	for _, l := range changes.Left {
		left = append(left, l.Path)
	}
	for _, path := range []string{"endpoints.create_invoice.effect", "decision.choice", "destinations.app.url", "environments.development.base_url"} {
		if !slices.Contains(left, path) {
			t.Errorf("%s is not told: %v", path, left)
		}
	}
	again, _, err := draft.Replan(after, fresh, in)
	if err != nil || !bytes.Equal(again, after) {
		t.Errorf("a second time changes it: %v", err)
	}
}
