package draft

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/plan"
)

// few and many are how many operations a client of one's own carries easily, and
// from how many on the types of an SDK are worth more than mappings.
const few, many = 8, 20

// decision says build or SDK, weighed from what is known (R0.2).
func (w *writer) decision() *plan.Decision {
	calls, events := len(w.plan.Endpoints), 0
	if w.plan.Webhooks != nil {
		events = len(w.plan.Webhooks.Events)
	}
	size := plural(calls, "call")
	if events > 0 {
		size += " and " + plural(events, "event")
	}
	d := &plan.Decision{Choice: "build", Weighed: w.weigh(size)}
	sdk := w.profile.SDK
	switch {
	case sdk.Go != "" && sdk.GoOfficial && calls > many:
		d.Choice = "sdk"
		d.Why = fmt.Sprintf("%s: the official Go SDK %s carries that many better than mappings of one's own; it runs through Sallyport's HTTP client unchanged.", upperFirst(size), sdk.Go)
	case sdk.Go != "" && sdk.GoOfficial:
		d.Why = fmt.Sprintf("%s, mapped and guarded by this plan. The official Go SDK %s runs through Sallyport's HTTP client unchanged where its types help.", upperFirst(size), sdk.Go)
	case sdk.Go != "":
		d.Why = fmt.Sprintf("%s, mapped and guarded by this plan. The Go library %s is not the provider's own; it runs through Sallyport's HTTP client where its types help.", upperFirst(size), sdk.Go)
	default:
		d.Why = fmt.Sprintf("%s, mapped and guarded by this plan. No Go SDK of the provider is known.", upperFirst(size))
	}
	if said := w.Answers.Decision; said != "" && said != d.Choice {
		d.Why = fmt.Sprintf("Decided by a person, otherwise than the facts weigh. They say %s: %s", d.Choice, d.Why)
		d.Choice = said
	}
	if w.Answers.Decision != "" {
		d.Owner = w.Answers.Owner
	}
	if !w.Now.IsZero() {
		d.ReviewBy = w.Now.AddDate(0, 6, 0).Format(time.DateOnly)
	}
	return d
}

// weigh compares the choices by facts of profile, document and plan; each row
// names the fact it rests on. What a product costs and can do is not known, so
// it stands in the middle where nothing speaks for or against it.
func (w *writer) weigh(size string) []plan.Criterion {
	calls, sdk := len(w.plan.Endpoints), w.sdk()
	build := 5
	switch {
	case calls > many:
		build = 2
	case calls > few:
		build = 4
	}
	libraries := "no library is known"
	if sdk > 0 {
		libraries = strings.Join(nonEmpty(w.profile.SDK.Go, w.profile.SDK.NPM), " and ")
	}
	rows := []plan.Criterion{
		{What: "How much there is to build: " + size + ".", Weight: 4, Build: build, SDK: sdk, Buy: 3},
		{What: "What there is to build on: " + libraries + ".", Weight: 3, Build: 3, SDK: sdk, Buy: 3},
		{What: "Errors, retries and limits follow one plan: " + w.limitWords() + ".", Weight: 4, Build: 5, SDK: min(sdk, 3), Buy: 1},
	}
	if hooks := w.plan.Webhooks; hooks != nil {
		rows = append(rows, plan.Criterion{What: "Events are verified, kept and found when they are lost: " + plural(len(hooks.Events), "event") + ".", Weight: 4, Build: 5, SDK: min(sdk, 1), Buy: 3})
	}
	change := plan.Criterion{What: "Who follows changes of the API: its document is pinned and compared.", Weight: 2, Build: 4, SDK: sdk, Buy: 5}
	if w.SpecFile == "" {
		change.What, change.Build = "Who follows changes of the API: no document of it is pinned.", 2
	}
	rows = append(rows, change, plan.Criterion{What: "Credentials and personal data stay here.", Weight: 3, Build: 5, SDK: min(5*sdk, 5), Buy: 1})
	return append(rows, plan.Criterion{What: "Leaving again: what of the product knows the provider's types.", Weight: 1, Build: 5, SDK: min(sdk, 2), Buy: 2})
}

// sdk is what the best library known is worth, from 0 for none to 5 for the
// provider's own for Go.
func (w *writer) sdk() int {
	s := w.profile.SDK
	switch {
	case s.Go != "" && s.GoOfficial:
		return 5
	case s.Go != "":
		return 3
	case s.NPM != "":
		return 2
	}
	return 0
}

func (w *writer) limitWords() string {
	n := len(w.profile.Limits.List)
	if n == 0 {
		return "the provider's limits are not known"
	}
	return plural(n, "limit") + " of the provider known"
}

func nonEmpty(list ...string) (out []string) {
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}
