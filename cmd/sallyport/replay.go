package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// replayFlags are what events retry was told.
type replayFlags struct {
	logFilter
	source              string
	until               time.Duration
	all, yes, unwatched bool
}

func newEventsRetry(g *gateway) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use: "retry SERVICE [ID]", Short: "Process an event again, or many", Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: g.completing(g.services, g.eventsOf),
		Long: `Process events again, from the bytes that came and with the plan as it is now: one by its ID, or those that match the
filter. They are counted first. They go the oldest first and few at a time, so that what comes meanwhile is not held up.
Events that wait or are in work are never touched. Destinations see sallyportreplay and the same Webhook-Id as before.
Ctrl-C stops the job; what had its turn by then stays as it is.

Exit status: 0 when all were processed, 1 when some failed or the job was stopped.` + gatewayHelp,
		Example: "  sallyport events retry stripe 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11\n  sallyport events retry stripe --status failed --type invoice.paid --since 2h --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			base := "/api/v1/admin/integrations/" + url.PathEscape(args[0]) + "/retry"
			if len(args) == 2 {
				var out struct{ Kind, ID, Status string }
				if err := g.do(cmd.Context(), http.MethodPost, base+"/"+url.PathEscape(args[1]), nil, nil, &out); err != nil {
					return err
				}
				return g.show(out, func() { g.ui.say("event %s is due again; see how it goes: sallyport events show %s", out.ID, out.ID) })
			}
			return g.replayMany(cmd.Context(), base, &f)
		},
	}
	f.flags(cmd, "processed, failed or ignored; all three when empty", "event type")
	_ = cmd.Flags().MarkHidden("limit")
	g.completeType(cmd, "type")
	fixedCompletion(cmd, "status", "processed", "failed", "ignored")
	cmd.Flags().StringVar(&f.source, "source", "", "those that came by this address of the service")
	cmd.Flags().DurationVar(&f.until, "until", 0, "only what came longer ago than this: 1h, 24h")
	cmd.Flags().BoolVar(&f.all, "all", false, "all events of the service that are over")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask after counting them")
	cmd.Flags().BoolVar(&f.unwatched, "no-wait", false, "do not show progress until all had their turn (Ctrl-C stops the job)")
	return cmd
}

// filter is what the job is about.
func (f *replayFlags) filter(now time.Time) (api.JobFilter, error) {
	out := api.JobFilter{Status: f.status, Type: f.kind, Tenant: f.tenant, Query: f.text, Source: f.source}
	if f.since > 0 {
		out.Since = now.Add(-f.since).UTC()
	}
	if f.until > 0 {
		out.Until = now.Add(-f.until).UTC()
	}
	if out == (api.JobFilter{}) && !f.all {
		return out, errors.New("name an event by its id, or restrict which ones: --status failed, --type, --tenant, --since; --all means every event of the service")
	}
	return out, nil
}

func (g *gateway) replayMany(ctx context.Context, path string, f *replayFlags) error {
	var in struct {
		Kind   string        `json:"kind"`
		Filter api.JobFilter `json:"filter"`
		DryRun bool          `json:"dry_run,omitempty"`
	}
	var err error
	in.Kind, in.DryRun = string(integration.JobEvents), true
	if in.Filter, err = f.filter(time.Now()); err != nil {
		return err
	}
	var job api.JobView
	if err := g.do(ctx, http.MethodPost, path, nil, in, &job); err != nil {
		return err
	}
	can := job.Total - job.Skipped
	g.ui.say("%s", counted(&job))
	if can == 0 {
		return g.show(job, func() {})
	}
	if !f.yes {
		if err := g.agree(fmt.Sprintf("Process %s again?", events(can))); err != nil {
			return err
		}
	}
	job, in.DryRun = api.JobView{}, false
	if err := g.do(ctx, http.MethodPost, path, nil, in, &job); err != nil {
		return err
	}
	if !f.unwatched {
		if err := g.follow(ctx, &job); err != nil {
			return err
		}
	}
	if err := g.show(job, func() { g.ui.say("%s", jobLine(&job)) }); err != nil {
		return err
	}
	if job.Failed > 0 || job.State == string(integration.JobCanceled) {
		return &exitError{code: 1} // all is said
	}
	return nil
}

func counted(j *api.JobView) string {
	s := events(j.Total) + " match"
	if j.Total == 1 {
		s += "es"
	}
	if j.Skipped > 0 {
		s += fmt.Sprintf("; %d of them can't be processed again: %s", j.Skipped, j.SkippedReason)
	}
	return s
}

func events(n int) string {
	if n == 1 {
		return "1 event"
	}
	return fmt.Sprintf("%d events", n)
}

// agree asks whether to go on. Where nobody can be asked it is an error.
func (g *gateway) agree(question string) error {
	if !g.ui.asks {
		return errors.New("nobody can be asked here: write --yes")
	}
	fmt.Fprintf(g.ui.err, "%s [y/N] ", question)
	text, err := g.ui.in.ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(text)); err != nil || answer != "y" && answer != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}

// barWidth is how many characters a bar of progress has.
const barWidth = 24

// eventJobLine is how far a job about events is.
func eventJobLine(j *api.JobView) string {
	over := j.Done + j.Failed + j.Skipped
	full := barWidth
	if j.Total > 0 {
		full = min(barWidth*over/j.Total, barWidth)
	}
	s := fmt.Sprintf("%s%s %d of %d: %d processed, %d failed", styleGood.Render(strings.Repeat("█", full)), styleDim.Render(strings.Repeat("░", barWidth-full)), over, j.Total, j.Done, j.Failed)
	if j.Skipped > 0 {
		s += fmt.Sprintf(", %d skipped", j.Skipped)
	}
	if waiting := j.Queued - j.Done - j.Failed; j.State == "running" && waiting > 0 {
		s += fmt.Sprintf(", %d under way", waiting)
	}
	if j.State != "running" {
		s += "; job " + j.ID + " is " + j.State
	}
	return s
}

func newEventsPreview(g *gateway) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "preview ID", Short: "Show what an event would be delivered as", Args: cobra.ExactArgs(1),
		ValidArgsFunction: g.completing(g.eventsOf),
		Long: `Show what an event would be delivered as with the plan as it is served now, or with --plan as a plan file says that is
not served yet: its destinations and its body, or why the mapping refuses it and where. Nothing is sent, nothing changes.

Exit status: 0 when it would be delivered or ignored, 1 when it would be refused.` + gatewayHelp,
		Example: "  sallyport events preview 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11\n  sallyport events preview 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11 --plan integrations/stripe.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			id := "/api/v1/admin/events/" + url.PathEscape(args[0])
			var p api.PreviewView
			if err := g.do(cmd.Context(), http.MethodPost, id+"/preview", nil, nil, &p); err != nil {
				return err
			}
			var served *api.PreviewView // to compare with
			if file != "" {
				as := p
				served = &as
				var e api.EventView
				if err := g.do(cmd.Context(), http.MethodGet, id, nil, nil, &e); err != nil {
					return err
				}
				var err error
				if p, err = previewWith(file, &e); err != nil {
					return err
				}
			}
			if err := g.show(p, func() { g.preview(&p, served) }); err != nil {
				return err
			}
			if p.Verdict == "refused" || p.Verdict == "not_kept" {
				return &exitError{code: 1} // all is said
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "plan", "", "plan file to map it with, instead of the one that is served")
	return cmd
}

// previewWith maps an event here, with a plan file that need not be served.
func previewWith(file string, v *api.EventView) (api.PreviewView, error) {
	p, err := plan.Load(file, catalog.Load)
	if err != nil {
		return api.PreviewView{}, err
	}
	out := api.PreviewView{ID: v.ID, Type: v.Type, Status: v.Status, Redacted: v.Redacted}
	if p.Service != v.Service {
		return out, fmt.Errorf("%s is the plan of %s, and the event came from %s", file, p.Service, v.Service)
	}
	if v.Kept == "nothing" {
		out.Verdict = "not_kept"
		return out, nil
	}
	d, err := deliver.New(deliver.Config{
		Dice: func() float64 { return 0 },
		Services: []deliver.Service{{
			Plan: p, Secrets: func(string) []integration.Secret { return nil },
			Fetch: func(context.Context, deliver.Fetching) ([]byte, bool, error) {
				return nil, false, errors.New("nothing is fetched here")
			},
		}},
	})
	if err != nil {
		return out, err
	}
	defer d.Close()
	e := integration.Event{
		ID: v.ID, Service: v.Service, Source: v.Source, Tenant: v.Tenant, ExternalID: v.ExternalID, Type: v.Type, Subject: v.Subject, Header: v.Headers,
		ReceivedAt: v.ReceivedAt, Payload: []byte(v.Payload), Replays: v.Replays,
	}
	if v.OccurredAt != nil {
		e.OccurredAt = *v.OccurredAt
	}
	if len(v.PayloadB64) > 0 {
		e.Payload = v.PayloadB64
	}
	return api.PreviewOf(out, d.Preview(e)), nil
}

// preview shows p, and how it differs from what is served; nil: it is that.
func (g *gateway) preview(p, served *api.PreviewView) {
	words := map[string]string{
		"delivered": styleGood.Render("it would be delivered"), "ignored": "the plan does not use it: it would be ignored",
		"refused": styleBad.Render("it would be refused"), "fetched": "the provider would be asked first, by " + p.Fetch,
		"not_kept": styleBad.Render("what came is not kept any more"),
	}
	rows := [][]string{{"type", clean(p.Type)}, {"status", stateStyle(p.Status)}, {"with the plan", words[p.Verdict]}}
	if len(p.Destinations) > 0 {
		rows = append(rows, []string{"goes to", strings.Join(p.Destinations, ", ")})
	}
	if r := p.Refusal; r != nil {
		for _, row := range [][]string{{"why", clean(r.Detail)}, {"row", r.Row}, {"value at", clean(r.Pointer)}, {"rule", r.Rule}, {"hint", clean(r.Hint)}} {
			if row[1] != "" {
				rows = append(rows, row)
			}
		}
	}
	if p.Redacted {
		rows = append(rows, []string{"redacted", "values were taken out, as webhooks.redact says; it would be delivered with them while they are kept"})
	}
	g.ui.table([]string{p.ID, ""}, rows)
	if len(p.CloudEvent) > 0 {
		g.ui.print("\n%s", clean(pretty(p.CloudEvent)))
	}
	switch {
	case served == nil:
	case p.Verdict != served.Verdict:
		g.ui.say("with the plan that is served it is %s", strings.ReplaceAll(served.Verdict, "_", " "))
	case !bytes.Equal(p.CloudEvent, served.CloudEvent):
		g.ui.say("\n%s", difference(clean(pretty(served.CloudEvent)), clean(pretty(p.CloudEvent))))
	default:
		g.ui.say("with the plan that is served it is the same")
	}
}

// difference is what a text would become, as a person reads it.
func difference(served, planned string) string {
	lines := strings.Split(strings.TrimSuffix(udiff.Unified("as the plan that is served says", "as this plan says", served+"\n", planned+"\n"), "\n"), "\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
			lines[i] = styleBold.Render(line)
		case strings.HasPrefix(line, "-"):
			lines[i] = styleBad.Render(line)
		case strings.HasPrefix(line, "+"):
			lines[i] = styleGood.Render(line)
		}
	}
	return strings.Join(lines, "\n")
}

// pretty indents JSON; anything else stays as it is.
func pretty(b []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return string(b)
	}
	return out.String()
}
