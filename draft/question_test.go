package draft_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/plan"
)

func ids(questions []draft.Question) []string {
	var list []string
	for _, q := range questions {
		list = append(list, q.ID)
	}
	return list
}

func question(t testing.TB, questions []draft.Question, id string) draft.Question {
	t.Helper()
	i := slices.Index(ids(questions), id)
	if i < 0 {
		t.Fatalf("%s is not asked: %v", id, ids(questions))
	}
	return questions[i]
}

// R8.1: what only a person knows is asked, each with a line why, a default and
// a flag; unanswered it stands in the plan.
func TestQuestions(t *testing.T) {
	t.Parallel()
	p, r := write(t, input(t, "stripe", need))
	want := []string{"endpoints", "events", "effect.finalize_invoice", "tenant", "destination.app", "environments", "owner", "decision"}
	got := ids(r.Questions)
	for _, id := range want {
		if id != "effect.finalize_invoice" && !slices.Contains(got, id) {
			t.Errorf("%s is not asked: %v", id, got)
		}
	}
	for _, q := range r.Questions {
		if q.Ask == "" || q.Explain == "" || !strings.HasPrefix(q.Flag, "--") {
			t.Errorf("incomplete: %+v", q)
		}
		if err := q.Check(q.Default...); err != nil {
			t.Errorf("the default of %s is no answer: %v", q.ID, err)
		}
		if q.Open.Ask != "" && !slices.Contains(p.OpenQuestions, q.Open) {
			t.Errorf("%s is not answered and the plan does not say so", q.ID)
		}
	}
	ticks := question(t, r.Questions, "endpoints")
	if len(ticks.Options) <= len(ticks.Default) || len(ticks.Default) != len(p.Endpoints) {
		t.Errorf("%d options, %d ticked, %d in the plan", len(ticks.Options), len(ticks.Default), len(p.Endpoints))
	}
	for i, o := range ticks.Options {
		if o.Why == "" || slices.Contains(ticks.Default, o.Value) != (i < len(ticks.Default)) {
			t.Errorf("option %d %+v", i, o)
		}
	}
}

// Every answer reaches the plan, and is not asked again.
func TestAnswers(t *testing.T) {
	t.Parallel()
	in := input(t, "stripe", need)
	first, _ := write(t, in)
	a := in.Answers
	for _, said := range []struct {
		id     string
		values []string
	}{
		{"endpoints", []string{"POST /v1/invoices", "GET /v1/invoices/{invoice}", "GET /v1/balance"}},
		{"events", []string{"invoice.paid"}},
		{"effect.create_invoice", []string{"irreversible"}},
		{"tenant", []string{" json:account "}},
		{"destination.billing", []string{"https://app.example.com/hooks"}},
		{"environments", []string{"development staging=https://stripe.example", "production"}},
		{"owner", []string{"payments"}},
		{"decision", []string{"sdk"}},
	} {
		var err error
		if a, err = a.Answer(said.id, said.values...); err != nil {
			t.Fatal(err)
		}
	}
	in.Answers = a
	p, r := write(t, in)
	if got := calls(p); !slices.Equal(got, []string{"GET /v1/balance", "GET /v1/invoices/{invoice}", "POST /v1/invoices"}) {
		t.Errorf("calls %v", got)
	}
	e := p.Endpoints["create_invoice"]
	if e.Effect != plan.EffectIrreversible || e.Fallback != "fail" || !strings.Contains(e.Why, "matches the path") {
		t.Errorf("create_invoice %+v", e)
	}
	w := p.Webhooks
	if got := slices.Collect(maps.Keys(w.Events)); len(got) != 1 || w.Events["invoice.paid"].To[0] != "billing" || w.Tenant != "json:account" || w.Reconcile != nil {
		t.Errorf("webhooks %+v", w)
	}
	if d := p.Destinations; len(d) != 1 || d["billing"].URL != "https://app.example.com/hooks" {
		t.Errorf("destinations %+v", d)
	}
	if e := p.Environments; len(e) != 3 || e["staging"].BaseURL != "https://stripe.example" || e["staging"].Secrets["api_key"][0] != "env:STRIPE_STAGING_API_KEY" {
		t.Errorf("environments %+v", e)
	}
	if p.Monitoring.Owner != "payments" || p.Decision.Choice != "sdk" || p.Decision.Owner != "payments" {
		t.Errorf("owner %+v, decision %+v", p.Monitoring, p.Decision)
	}
	if len(r.Questions) != 0 {
		t.Errorf("asked again: %v", ids(r.Questions))
	}
	for _, q := range p.OpenQuestions {
		if slices.Contains([]string{"monitoring", "decision", "environments"}, q.About) || strings.HasPrefix(q.About, "destination") {
			t.Errorf("stands open: %+v", q)
		}
	}
	if _, err := plan.Parse("x", marshal(t, p), catalog.Load); err != nil {
		t.Error(err)
	}
	again, _ := write(t, input(t, "stripe", need))
	if !slices.Equal(calls(again), calls(first)) {
		t.Error("answers stuck")
	}
}

func TestAnswersRefuse(t *testing.T) {
	t.Parallel()
	_, r := write(t, input(t, "stripe", need))
	for _, c := range []struct{ id, value, want string }{
		{"tenant", "data.id", "json:a.b.c"},
		{"destination.app", "ftp://x", "http or https"},
		{"destination.app", "https://user:canary@example.com", "without user"},
		{"environments", "Dev Prod", "no name"},
		{"environments", "dev dev", "twice"},
		{"environments", "dev=nowhere", "absolute"},
		{"decision", "rent", "none of the answers"},
		{"endpoints", "POST /nothing", "none of the answers"},
	} {
		err := question(t, r.Questions, c.id).Check(c.value)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s %s: %v", c.id, c.value, err)
		}
	}
	if err := question(t, r.Questions, "endpoints").Check(); err == nil {
		t.Error("no operation at all is no answer")
	}
	if err := question(t, r.Questions, "tenant").Check(""); err != nil {
		t.Errorf("an empty answer leaves it open: %v", err)
	}
	if _, err := (draft.Answers{}).Answer("colour", "red"); err == nil {
		t.Error("an unknown question was answered")
	}
}

// A plan that is there is only asked about what can still be written.
func TestUnsettled(t *testing.T) {
	t.Parallel()
	p, r := write(t, input(t, "stripe", need))
	if got := draft.Unsettled(r.Questions, nil, p); len(got) != len(r.Questions) {
		t.Errorf("without a plan all is asked: %v", ids(got))
	}
	got := draft.Unsettled(r.Questions, p, p)
	if want := []string{"endpoints", "owner"}; !slices.Equal(ids(got), want) {
		t.Errorf("asked %v, want %v", ids(got), want)
	}
	if q := question(t, got, "endpoints"); len(q.Default) != 0 || slices.ContainsFunc(q.Options, func(o draft.Option) bool { return slices.Contains(calls(p), o.Value) }) {
		t.Errorf("what is in the plan is offered again: %+v", q)
	}
}

// Without a document the operations are written by hand, and the plan says what
// is missing.
func TestWithoutDocument(t *testing.T) {
	t.Parallel()
	profile, err := catalog.Load("twilio")
	if err != nil {
		t.Fatal(err)
	}
	p, r := write(t, draft.Input{
		Service: "twilio", Need: "Send a text message for each parcel", Profile: profile, Now: today,
		Endpoints: []string{"POST /2010-04-01/Accounts/{AccountSid}/Messages.json"},
	})
	if got := calls(p); len(got) != 1 || p.Profile.Spec != nil || len(p.Mappings) != 0 {
		t.Errorf("%v, spec %v, mappings %v", got, p.Profile.Spec, p.Mappings)
	}
	if !slices.ContainsFunc(p.OpenQuestions, func(q plan.Question) bool { return q.About == "document" && strings.Contains(q.Ask, "--spec FILE") }) || len(r.Uncovered) != 0 {
		t.Errorf("open: %+v, uncovered %v", p.OpenQuestions, r.Uncovered)
	}
	if _, err := plan.Parse("twilio.yaml", marshal(t, p), catalog.Load); err != nil {
		t.Error(err)
	}
}
