package conflict_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/sallyport/sallyport/conflict"
	"github.com/sallyport/sallyport/plan"
)

// R4.5 and R4.7: what the plan says is what is done.
func TestOfPlan(t *testing.T) {
	t.Parallel()
	find := &plan.Endpoint{Call: "GET /v1/{account}/things/{kind}", Effect: plan.EffectRead}
	e := &plan.Endpoint{
		Call: "PUT /v1/{account}/things", Effect: plan.EffectCreate, Encoding: "form",
		OnConflict: &plan.OnConflict{Read: "find", Keep: "theirs", Fields: map[string]string{"a": "ours"}, State: "thing", Version: &plan.FreshVersion{From: "header.ETag"}},
		OnUnknown:  &plan.OnUnknown{Find: "find", Path: map[string]string{"kind": "body.kind"}, Match: map[string]string{"id": "call.id"}, After: plan.Duration(time.Hour)},
	}
	rules, ok := conflict.RulesOf(e)
	if !ok || rules.Keep != conflict.Theirs || rules.Fields["a"] != conflict.Ours || rules.State != "thing" || rules.Version.From != "header.ETag" || !rules.Replaces || !rules.Untyped {
		t.Errorf("%+v", rules)
	}
	l, got, ok := conflict.LookupOf(&plan.Plan{Endpoints: map[string]*plan.Endpoint{"find": find}}, e)
	if !ok || got != find || l.After != time.Hour {
		t.Errorf("%+v", l)
	}
	path, _, err := l.Request(conflict.Call{Path: map[string]string{"account": "a1"}, Body: json.RawMessage(`{"kind":"k"}`)})
	if err != nil || path["account"] != "a1" || path["kind"] != "k" {
		t.Errorf("%v, %v", path, err)
	}
	if _, ok := conflict.RulesOf(find); ok {
		t.Error("rules out of nothing")
	}
	if _, _, ok := conflict.LookupOf(&plan.Plan{}, e); ok {
		t.Error("an endpoint out of nothing")
	}
}
