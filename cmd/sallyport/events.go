package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
)

func newEvents(ui *terminal) *cobra.Command {
	g := &gateway{ui: ui}
	cmd := &cobra.Command{
		Use: "events", Short: "Look at webhook events, process them again, preview them", GroupID: "run",
		Long: "Look at webhook events, their payloads and deliveries, and process them again." + gatewayHelp,
		Example: `  sallyport events list stripe --status failed
  sallyport events show 0199…
  sallyport events preview 0199… --plan integrations/stripe.yaml
  sallyport events retry stripe --status failed --since 2h`,
	}
	g.flags(cmd)
	cmd.AddCommand(newEventsList(g), newEventsShow(g), newEventsPreview(g), newEventsRetry(g))
	return cmd
}

func newEventsList(g *gateway) *cobra.Command {
	var f logFilter
	cmd := &cobra.Command{
		Use: "list SERVICE", Short: "List events, the newest first", Args: cobra.ExactArgs(1), Example: "  sallyport events list stripe --type invoice.paid --since 1h",
		ValidArgsFunction: g.completing(g.services),
		RunE: func(cmd *cobra.Command, args []string) error {
			list := []api.EventView{}
			err := g.pages(cmd.Context(), args[0], &f, "event", func(b json.RawMessage) (int, error) {
				var page []api.EventView
				err := json.Unmarshal(b, &page)
				list = append(list, page...)
				return len(page), err
			})
			if err != nil {
				return err
			}
			return g.show(list, func() {
				rows := [][]string{}
				for _, e := range list {
					rows = append(rows, []string{e.ID, clean(e.Type), clean(e.Tenant), clean(e.Subject), stateStyle(e.Status), fmt.Sprint(e.Attempts), ago(e.ReceivedAt), clean(e.Error)})
				}
				g.ui.table([]string{"id", "type", "tenant", "subject", "status", "attempts", "received", "error"}, rows)
			})
		},
	}
	f.flags(cmd, "received, processing, processed, failed or ignored", "event type")
	g.completeType(cmd, "type")
	fixedCompletion(cmd, "status", "received", "processing", "processed", "failed", "ignored")
	return cmd
}

func newEventsShow(g *gateway) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show everything about an event, its payload included", Args: cobra.ExactArgs(1), Example: "  sallyport events show 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11",
		ValidArgsFunction: g.completing(g.eventsOf),
		RunE: func(cmd *cobra.Command, args []string) error {
			var e api.EventView
			if err := g.do(cmd.Context(), http.MethodGet, "/api/v1/admin/events/"+url.PathEscape(args[0]), nil, nil, &e); err != nil {
				return err
			}
			return g.show(e, func() { g.event(&e) })
		},
	}
}

// progress shows where an event stands with each of several destinations.
func (g *gateway) progress(destinations map[string]api.ProgressView) {
	if len(destinations) == 0 {
		return
	}
	rows := [][]string{}
	for _, name := range slices.Sorted(maps.Keys(destinations)) {
		d := destinations[name]
		rows = append(rows, []string{clean(name), stateStyle(d.State), fmt.Sprint(d.Attempts), moment(d.DueAt), clean(d.Error)})
	}
	g.ui.print("")
	g.ui.table([]string{"destination", "state", "attempts", "due", "error"}, rows)
}

// moment is a time, or nothing.
func moment(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.Format(time.RFC3339)
}

func staleness(stale bool) string {
	if !stale {
		return ""
	}
	return "a later event of its subject was processed before it"
}

func (g *gateway) event(e *api.EventView) {
	rows := [][]string{}
	for _, r := range [][]string{
		{"type", e.Type},
		{"provider's id", e.ExternalID},
		{"subject", e.Subject},
		{"tenant", e.Tenant},
		{"status", stateStyle(e.Status)},
		{"error", clean(e.Error)},
		{"received", e.ReceivedAt.Format(time.RFC3339)},
		{"due", moment(e.DueAt)},
		{"waits for", clean(strings.Join(e.Parked, ", "))},
		{"stale", staleness(e.Stale)},
		{"replays", numbered(e.Replays)},
	} {
		if r[1] != "" {
			rows = append(rows, r)
		}
	}
	g.ui.table([]string{e.ID, ""}, rows)
	g.progress(e.Destinations)
	deliveries := [][]string{}
	for _, d := range e.Deliveries {
		attempt := fmt.Sprint(d.Attempt)
		if d.Replay > 0 {
			attempt += fmt.Sprintf(" (replay %d)", d.Replay)
		}
		deliveries = append(deliveries, []string{attempt, d.Destination, d.State, numbered(d.Status), d.StartedAt.Format("15:04:05.000"), fmt.Sprintf("%.0f ms", d.TookMS), clean(d.Error)})
	}
	if len(deliveries) > 0 {
		g.ui.print("")
		g.ui.table([]string{"attempt", "destination", "state", "status", "at", "took", "error"}, deliveries)
	}
	if e.Payload != "" {
		g.ui.print("\n%s", clean(e.Payload))
	}
}
