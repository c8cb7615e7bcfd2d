package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
)

func newDestinations(ui *terminal) *cobra.Command {
	g := &gateway{ui: ui}
	cmd := &cobra.Command{
		Use: "destinations", Short: "Look at where events go, pause and resume it", GroupID: "run",
		Long: `Look at how deliveries to each destination go, and pause one: nothing is sent there then, by any instance of the gateway, and its events wait
without being in the others' way. A pause outlives restarts.` + gatewayHelp,
		Example: "  sallyport destinations list\n  sallyport destinations pause stripe billing\n  sallyport destinations resume stripe billing",
	}
	g.flags(cmd)
	cmd.AddCommand(newDestinationsList(g), newDestinationsTurn(g, "pause", "Send nothing to a destination until it is resumed"),
		newDestinationsTurn(g, "resume", "Send to a paused destination again"))
	return cmd
}

func newDestinationsList(g *gateway) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Say how deliveries to each destination go", Args: cobra.NoArgs, Example: "  sallyport destinations list --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out struct {
				Destinations []api.DestinationView `json:"destinations"`
			}
			if err := g.do(cmd.Context(), http.MethodGet, "/api/v1/admin/destinations", nil, nil, &out); err != nil {
				return err
			}
			return g.show(out.Destinations, func() {
				rows := [][]string{}
				for i := range out.Destinations {
					rows = append(rows, destinationRow(&out.Destinations[i]))
				}
				g.ui.table([]string{"service", "destination", "state", "parked", "in flight", "last success", "last error"}, rows)
			})
		},
	}
}

func destinationRow(d *api.DestinationView) []string {
	state := d.State
	switch {
	case d.State == "backing_off" && d.BackingOffUntil != nil:
		state = styleBad.Render("backing off until " + d.BackingOffUntil.Format(time.TimeOnly))
	case d.State == "gone":
		state = styleBad.Render(state)
	case d.State == "open":
		state = styleGood.Render(state)
	default:
		state = styleBold.Render(state)
	}
	success, failure := "", ""
	if d.LastSuccess != nil {
		success = ago(*d.LastSuccess)
	}
	if d.LastFailure != nil {
		failure = clean(d.LastError) + ", " + ago(*d.LastFailure)
	}
	return []string{clean(d.Service), clean(d.Name), state, fmt.Sprint(d.Parked), fmt.Sprint(d.InFlight), success, failure}
}

// turned says what a pause or a resumption came to.
func turned(d *api.DestinationView) string {
	name := clean(d.Name) + " of " + clean(d.Service)
	switch {
	case d.State == "paused":
		return fmt.Sprintf("%s is paused: what is for it waits, %d events so far", name, d.Parked)
	case d.Parked > 0:
		return fmt.Sprintf("%s is resumed: %d events that waited come back now, the oldest first", name, d.Parked)
	}
	return name + " is resumed"
}

func newDestinationsTurn(g *gateway, turn, short string) *cobra.Command {
	return &cobra.Command{
		Use: turn + " SERVICE DESTINATION", Short: short, Args: cobra.ExactArgs(2), Example: "  sallyport destinations " + turn + " stripe billing",
		RunE: func(cmd *cobra.Command, args []string) error {
			var d api.DestinationView
			path := "/api/v1/admin/destinations/" + url.PathEscape(args[0]) + "/" + url.PathEscape(args[1]) + "/" + turn
			if err := g.do(cmd.Context(), http.MethodPost, path, nil, nil, &d); err != nil {
				return err
			}
			return g.show(d, func() {
				g.ui.say("%s", turned(&d))
			})
		},
	}
}
