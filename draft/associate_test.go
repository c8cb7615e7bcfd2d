package draft

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/openapi"
)

// R8.2: several words hint at a thing that none of them names; they rank its
// operations, and name nothing that the document does not have.
func TestAssociate(t *testing.T) {
	t.Parallel()
	d := &openapi.Document{}
	for _, path := range []string{"/payouts", "/coupons"} {
		d.Operations = append(d.Operations, openapi.Operation{ID: "list " + path, Method: "GET", Path: path})
	}
	for need, want := range map[string]string{
		"see the money that reached a bank": "payout",
		"see the special price of today":    "coupon",
		"see the weather":                   "",
	} {
		c := clauses(need)[0]
		before := len(c.terms)
		c.associate(newIndex(d))
		var got []string
		for _, term := range c.terms[before:] {
			if term.weight >= naming {
				t.Errorf("%q: %q names something with %g", need, term.stem, term.weight)
			}
			got = append(got, term.stem)
		}
		if want == "" && len(got) > 0 || want != "" && !slices.Contains(got, stem(want)) {
			t.Errorf("%q hints at %q, want %q", need, got, want)
		}
	}
}

// What is read in one clause and asked in another.
func TestReadClause(t *testing.T) {
	t.Parallel()
	for need, want := range map[string]struct {
		kinds []kind
		again bool
	}{
		"show the cards we keep":                 {[]kind{kindRead, kindList}, false},
		"list members who pay":                   {[]kind{kindList}, false},
		"pay back the guest":                     {[]kind{kindCreate, kindAction}, false},
		"give the guest who left the money back": {[]kind{kindCreate}, false},
		"delete files":                           {[]kind{kindDelete}, false},
	} {
		c := clauses(need)[0]
		if !slices.Equal(c.kinds, want.kinds) || c.again != want.again {
			t.Errorf("%q asks for %v (%v), want %v", need, c.kinds, c.again, want.kinds)
		}
	}
}

// What asks for a second thing under the verb of the first is a clause of its
// own, and what only says when asks for nothing.
func TestClausesOfQuestions(t *testing.T) {
	t.Parallel()
	for need, want := range map[string][]string{
		"see which cards we have and what they cost": {"see which cards we have", "see what they cost"},
		"send a mail as soon as we ship":             {"send a mail", "we ship"},
		"stop the plan because they left":            {"stop the plan"},
	} {
		var got []string
		for _, c := range clauses(need) {
			got = append(got, c.text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", need, got, want)
		}
	}
}
