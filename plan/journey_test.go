package plan_test

import (
	"testing"

	"github.com/sallyport/sallyport/plan"
)

// R0.2: what was weighed adds up, and a plan without it has no totals.
func TestTotals(t *testing.T) {
	t.Parallel()
	d := &plan.Decision{Weighed: []plan.Criterion{{Weight: 3, Build: 5, SDK: 1}, {Weight: 2, Build: 0, SDK: 4, Buy: 5}}}
	if build, sdk, buy := d.Totals(); build != 15 || sdk != 11 || buy != 10 {
		t.Errorf("got %d %d %d", build, sdk, buy)
	}
	if build, sdk, buy := (*plan.Decision)(nil).Totals(); build+sdk+buy != 0 {
		t.Error("no decision weighs nothing")
	}
}
