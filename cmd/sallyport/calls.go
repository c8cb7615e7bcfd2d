package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
)

func newCalls(ui *terminal) *cobra.Command {
	g := &gateway{ui: ui}
	cmd := &cobra.Command{
		Use: "calls", Short: "Look at calls, make kept ones again, cancel queued ones", GroupID: "run",
		Long: "Look at calls to providers, make kept ones again, and cancel those that wait in the queue." + gatewayHelp,
		Example: `  sallyport calls list stripe --status failed
  sallyport calls show 0199…
  sallyport calls retry stripe 0199…
  sallyport calls retry stripe --all --since 2h`,
	}
	g.flags(cmd)
	cmd.AddCommand(newCallsList(g), newCallsShow(g), newCallsRetry(g), newCallsCancel(g), newCallsDrift(g))
	return cmd
}

func newCallsList(g *gateway) *cobra.Command {
	var f logFilter
	cmd := &cobra.Command{
		Use: "list SERVICE", Short: "List calls, the newest first", Args: cobra.ExactArgs(1), Example: "  sallyport calls list stripe --status unknown --output json",
		RunE: func(cmd *cobra.Command, args []string) error {
			list := []api.CallView{}
			err := g.pages(cmd.Context(), args[0], &f, "call", func(b json.RawMessage) (int, error) {
				var page []api.CallView
				err := json.Unmarshal(b, &page)
				list = append(list, page...)
				return len(page), err
			})
			if err != nil {
				return err
			}
			return g.show(list, func() {
				rows := [][]string{}
				for _, c := range list {
					what := c.Endpoint
					if what == "" {
						what = c.Method + " " + c.Path
					}
					rows = append(rows, []string{c.ID, clean(what), clean(c.Tenant), stateStyle(c.State), numbered(c.Status), ago(c.CreatedAt), clean(c.Error)})
				}
				g.ui.table([]string{"id", "call", "tenant", "state", "status", "made", "error"}, rows)
			})
		},
	}
	f.flags(cmd, "running, queued, succeeded, rejected, canceled, failed or unknown", "endpoint")
	fixedCompletion(cmd, "status", "running", "queued", "succeeded", "rejected", "canceled", "failed", "unknown")
	return cmd
}

func numbered(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func newCallsShow(g *gateway) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show everything about a call", Args: cobra.ExactArgs(1), Example: "  sallyport calls show 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11",
		RunE: func(cmd *cobra.Command, args []string) error {
			var c api.CallView
			if err := g.do(cmd.Context(), http.MethodGet, "/api/v1/admin/calls/"+url.PathEscape(args[0]), nil, nil, &c); err != nil {
				return err
			}
			return g.show(c, func() { g.call(&c) })
		},
	}
}

func (g *gateway) call(c *api.CallView) {
	rows := [][]string{
		{"call", clean(c.Method + " " + c.Path)},
		{"endpoint", c.Endpoint},
		{"effect", c.Effect},
		{"tenant", clean(c.Tenant)},
		{"state", stateStyle(c.State)},
		{"error", clean(c.Error)},
		{"idempotency key", clean(c.IdempotencyKey)},
		{"made", c.CreatedAt.Format(time.RFC3339)},
	}
	for name, at := range map[string]*time.Time{"due": c.DueAt, "expires": c.ExpiresAt, "finished": c.FinishedAt} {
		if at != nil {
			rows = append(rows, []string{name, at.Format(time.RFC3339) + ", " + ago(*at)})
		}
	}
	if c.RequestBody != "" {
		rows = append(rows, []string{"body", clean(c.RequestBody)})
	}
	kept := rows[:0]
	for _, r := range rows {
		if r[1] != "" {
			kept = append(kept, r)
		}
	}
	g.ui.table([]string{c.ID, ""}, kept)
	attempts := [][]string{}
	for _, a := range c.Attempts {
		attempts = append(attempts, []string{
			fmt.Sprint(a.Number), a.StartedAt.Format("15:04:05.000"), fmt.Sprintf("%.0f ms", a.TookMS), fmt.Sprintf("%.0f ms", a.WaitedMS),
			numbered(a.Status), a.Class, map[bool]string{true: "sent", false: "not sent"}[a.Sent], clean(a.RequestID), clean(a.Error),
		})
	}
	if len(attempts) > 0 {
		g.ui.print("")
		g.ui.table([]string{"attempt", "at", "took", "waited", "status", "class", "", "provider's id", "error"}, attempts)
	}
}

func newCallsRetry(g *gateway) *cobra.Command {
	var f logFilter
	var all, unknown, wait bool
	cmd := &cobra.Command{
		Use: "retry SERVICE [ID]", Short: "Make a kept call again, or many", Args: cobra.RangeArgs(1, 2),
		Long: `Put kept calls back into the queue, each under its own id and idempotency key: one by its ID, or with --all
those that match the filter. --unknown means calls that may have had their effect: look at the provider first.`,
		Example: "  sallyport calls retry stripe 0199…\n  sallyport calls retry stripe --all --type create_customer --since 2h --wait",
		RunE: func(cmd *cobra.Command, args []string) error {
			base := "/api/v1/admin/integrations/" + url.PathEscape(args[0]) + "/retry"
			if len(args) == 2 {
				var out struct{ Kind, ID, Status string }
				if err := g.do(cmd.Context(), http.MethodPost, base+"/"+url.PathEscape(args[1]), nil, nil, &out); err != nil {
					return err
				}
				return g.show(out, func() { g.ui.say("%s %s is %s", out.Kind, out.ID, out.Status) })
			}
			if !all {
				return errors.New("name a call by its id, or write --all for those that match the filter")
			}
			var in struct {
				Filter api.JobFilter `json:"filter"`
			}
			in.Filter = api.JobFilter{State: "failed", Endpoint: f.kind, Tenant: f.tenant, Query: f.text}
			if unknown {
				in.Filter.State = "unknown"
			}
			if f.since > 0 {
				in.Filter.Since = time.Now().Add(-f.since).UTC()
			}
			var job api.JobView
			if err := g.do(cmd.Context(), http.MethodPost, base, nil, in, &job); err != nil {
				return err
			}
			if wait {
				if err := g.follow(cmd.Context(), &job); err != nil {
					return err
				}
			}
			return g.show(job, func() { g.ui.say("%s", jobLine(&job)) })
		},
	}
	f.flags(cmd, "", "endpoint")
	_ = cmd.Flags().MarkHidden("status") // the state is failed, or unknown with --unknown
	_ = cmd.Flags().MarkHidden("limit")
	cmd.Flags().BoolVar(&all, "all", false, "all that match the filter")
	cmd.Flags().BoolVar(&unknown, "unknown", false, "calls of unknown outcome instead of failed ones")
	cmd.Flags().BoolVar(&wait, "wait", false, "show progress until all had their turn; Ctrl-C stops the job")
	return cmd
}

func jobLine(j *api.JobView) string {
	if j.Kind == string(integration.JobEvents) {
		return eventJobLine(j)
	}
	return fmt.Sprintf("job %s %s: %d of %d made again, %d with a person again", j.ID, j.State, j.Done, j.Total, j.Failed)
}

// follow shows a job's progress until it ends. Ctrl-C cancels the job.
func (g *gateway) follow(ctx context.Context, job *api.JobView) error {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for job.State == "running" {
		if g.ui.isTTY {
			fmt.Fprintf(g.ui.err, "\r\x1b[K%s", jobLine(job))
		}
		select {
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			return g.do(stop, http.MethodPost, "/api/v1/admin/jobs/"+job.ID+"/cancel", nil, nil, job)
		case <-ticker.C:
		}
		if err := g.do(ctx, http.MethodGet, "/api/v1/admin/jobs/"+job.ID, nil, nil, job); err != nil && ctx.Err() == nil {
			return err
		}
	}
	if g.ui.isTTY {
		fmt.Fprint(g.ui.err, "\r\x1b[K")
	}
	return nil
}

func newCallsCancel(g *gateway) *cobra.Command {
	return &cobra.Command{
		Use: "cancel ID", Short: "Take a call out of the queue", Args: cobra.ExactArgs(1), Example: "  sallyport calls cancel 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11",
		RunE: func(cmd *cobra.Command, args []string) error {
			var out struct{ ID, State string }
			if err := g.do(cmd.Context(), http.MethodDelete, "/api/v1/calls/"+url.PathEscape(args[0]), nil, nil, &out); err != nil {
				return err
			}
			return g.show(out, func() { g.ui.say("%s is %s", out.ID, out.State) })
		},
	}
}

func newCallsDrift(g *gateway) *cobra.Command {
	return &cobra.Command{
		Use: "drift SERVICE", Short: "List where answers left the document or the plan", Args: cobra.ExactArgs(1), Example: "  sallyport calls drift stripe",
		RunE: func(cmd *cobra.Command, args []string) error {
			var out struct {
				Drift []api.DriftView `json:"drift"`
			}
			if err := g.do(cmd.Context(), http.MethodGet, "/api/v1/admin/integrations/"+url.PathEscape(args[0])+"/drift", url.Values{"limit": {"500"}}, nil, &out); err != nil {
				return err
			}
			return g.show(out.Drift, func() {
				rows := [][]string{}
				for _, d := range out.Drift {
					rows = append(rows, []string{d.Kind, d.Endpoint, clean(d.Pointer), clean(d.Expected), clean(d.Example), fmt.Sprint(d.Count), ago(d.LastSeen), strings.TrimPrefix(d.Row, "mapping.")})
				}
				g.ui.table([]string{"kind", "endpoint", "where", "expected", "came", "seen", "last", "row"}, rows)
			})
		},
	}
}
