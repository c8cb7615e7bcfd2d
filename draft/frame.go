package draft

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// frame fills in what does not depend on the operations: credentials,
// environments, policy, limits, monitoring, the decision.
func (w *writer) frame() {
	p := w.plan
	if w.SpecFile != "" {
		p.Profile.Spec = &plan.Spec{File: w.SpecFile, SHA256: w.SpecSHA256}
	}
	w.version()
	w.baseURL()
	p.Auth = plan.Auth{Use: w.credential(), RotateEvery: plan.Duration(90 * 24 * time.Hour)}
	w.environments()
	w.destinations()
	p.Errors = w.errors()
	p.Limits = plan.Limits{Headroom: plan.DefaultHeadroom, Wait: plan.Duration(plan.DefaultLimitWait)}
	p.Monitoring = plan.Monitoring{Owner: w.Answers.Owner, Notify: []string{"ops"}, Runbook: "docs/runbooks/" + w.service + ".md"}
	p.Decision = w.decision()
	p.Rollout, p.Exit, p.Points = w.rollout(), w.exit(), w.points()
}

// credential picks a kind of credential: a key where there is one, since it
// needs no journey of a user.
func (w *writer) credential() string {
	for _, kind := range []string{"api_key", "basic"} {
		if slices.ContainsFunc(w.profile.Auth, func(a catalog.Auth) bool { return a.Kind == kind }) {
			return kind
		}
	}
	if len(w.profile.Auth) > 0 {
		return w.profile.Auth[0].Kind
	}
	return "api_key"
}

var dated = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}`)

// version pins the version that the document describes: the mapping rows were
// derived from it.
func (w *writer) version() {
	newest, described := w.profile.API.Version, w.doc.Version
	if newest == "" || described == "" || newest == described {
		return
	}
	if w.profile.API.VersionPin != nil && dated.MatchString(newest) && dated.MatchString(described) {
		w.plan.Profile.Version = described
		w.ask("api", fmt.Sprintf("The document describes version %s, which the plan pins; the newest version known is %s. Should the plan move on, with its document?", described, newest), w.profile.Docs)
		return
	}
	if w.profile.API.VersionPin != nil {
		w.ask("api", fmt.Sprintf("The document calls its version %q, requests ask for %q. Does the document describe that version?", described, newest), w.profile.Docs)
	}
}

// baseURL takes the document's base path where the profile has another one:
// the paths of the document stand below it.
func (w *writer) baseURL() {
	known, err := url.Parse(w.profile.API.BaseURL)
	if err != nil || len(w.doc.Servers) == 0 {
		return
	}
	server, err := url.Parse(w.doc.Servers[0])
	if err != nil || server.Host == "" || strings.ContainsAny(w.doc.Servers[0], "{}") {
		return
	}
	switch {
	case server.Host != known.Host:
		w.ask("api", fmt.Sprintf("The document's server is %s, the profile's base URL %s. Which one is right?", w.doc.Servers[0], w.profile.API.BaseURL), w.profile.Docs)
	case strings.TrimSuffix(server.Path, "/") != strings.TrimSuffix(known.Path, "/"):
		w.plan.Profile.BaseURL = strings.TrimSuffix(w.doc.Servers[0], "/")
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return "one " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

const maxConsidered = 6

// considered keeps the near misses in the plan.
func (w *writer) considered(list []Candidate) {
	for _, c := range list {
		if !c.Picked && len(w.plan.Considered) < maxConsidered {
			w.plan.Considered = append(w.plan.Considered, plan.Considered{Call: c.Call, WhyNot: c.Reason})
		}
	}
}

// questions adds one for each section of the profile that the plan rests on and
// that nobody has read anywhere, and what a person has not said.
func (w *writer) questions(open []Question, missed []string) {
	var list []plan.Question
	w.plan.Provider = w.profile
	for _, r := range w.plan.Recalled() {
		name, look := r.Section.Name, strings.Join(r.Section.Provenance.Source, ", ")
		ask := fmt.Sprintf("What the profile says about %s is only recalled. Is it so? Confirm it in profile.confirmed.%s.", name, name)
		if len(r.Fields) > 0 {
			ask = fmt.Sprintf("Only recalled: %s. Is it so? Confirm it in profile.confirmed.%s.", strings.Join(r.Fields, ", "), name)
		}
		list = append(list, plan.Question{About: name, Ask: ask, Look: cmp.Or(look, w.profile.Docs)})
	}
	w.plan.Provider = nil
	list = append(list, w.asked...)
	for _, q := range open {
		if q.Open.Ask != "" {
			list = append(list, q.Open)
		}
	}
	for _, missed := range missed {
		list = append(list, plan.Question{About: "need", Ask: fmt.Sprintf("Nothing in the document fits “%s”. How is it done?", missed), Look: w.profile.Docs})
	}
	w.plan.OpenQuestions = list
}
