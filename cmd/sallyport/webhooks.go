package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
)

func newWebhooks(ui *terminal) *cobra.Command {
	g := &gateway{ui: ui}
	cmd := &cobra.Command{
		Use: "webhooks", Short: "See to what is subscribed to at a provider", GroupID: "run",
		Long: `Compare the events that a plan uses with what the provider sends to this gateway, and change it there. Subscriptions of other addresses are
never touched. Those that expire are renewed by the gateway itself, once they were registered here.

Where tenants authorise the service, each has subscriptions of its own: the gateway registers them by itself when a tenant connects, renews them,
and removes them when the tenant disconnects. --tenant looks at one; remove without it removes those of all, until sync asks for them again.` + gatewayHelp,
		Example: `  sallyport webhooks list stripe
  sallyport webhooks sync stripe --dry-run
  sallyport webhooks sync stripe
  sallyport webhooks list shopify --tenant acme
  sallyport webhooks remove stripe`,
	}
	g.flags(cmd)
	cmd.AddCommand(newWebhooksList(g), newWebhooksSync(g), newWebhooksRemove(g), newWebhooksReconcile(g), newWebhooksForgetSecret(g))
	return cmd
}

func webhooksPath(service string) string {
	return "/api/v1/admin/integrations/" + url.PathEscape(service) + "/webhooks"
}

// whose is the account that a command is about.
type whose struct{ tenant, connection string }

func (w *whose) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&w.tenant, "tenant", "", "at whose account, where tenants authorise the service")
	cmd.Flags().StringVar(&w.connection, "connection", "", "the same by the connection, where the tenant has several")
	return cmd
}

func newWebhooksList(g *gateway) *cobra.Command {
	var w whose
	return w.flags(&cobra.Command{
		Use: "list SERVICE", Short: "Compare the plan with what the provider has", Args: cobra.ExactArgs(1), Example: "  sallyport webhooks list stripe --output json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.webhooks(cmd, http.MethodGet, webhooksPath(args[0]), w, false)
		},
	})
}

func newWebhooksSync(g *gateway) *cobra.Command {
	var dry bool
	var w whose
	cmd := &cobra.Command{
		Use: "sync SERVICE", Short: "Make the provider send the plan's events here", Args: cobra.ExactArgs(1),
		Long: `Register, change and renew what is subscribed to at the provider, so that it sends the events of the plan to this gateway; what is ours and
not wanted any more is removed after that. A signing secret that the provider gives is kept sealed by the gateway.`,
		Example: "  sallyport webhooks sync stripe --dry-run\n  sallyport webhooks sync github",
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.webhooks(cmd, http.MethodPost, webhooksPath(args[0])+"/sync", w, dry)
		},
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and change nothing")
	return cmd
}

func newWebhooksRemove(g *gateway) *cobra.Command {
	var dry, yes bool
	cmd := &cobra.Command{
		Use: "remove SERVICE", Short: "Remove our subscriptions at the provider", Args: cobra.ExactArgs(1),
		Long:    "Remove what sends events to this gateway at the provider, and nothing else. Its events do not come any more after that.",
		Example: "  sallyport webhooks remove stripe --dry-run\n  sallyport webhooks remove stripe --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !dry {
				if err := g.ui.meant(yes, "The events of "+args[0]+" will not come any more. Type its name to go on: ", args[0]); err != nil {
					return err
				}
			}
			return g.webhooks(cmd, http.MethodDelete, webhooksPath(args[0]), whose{}, dry)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be removed, and change nothing")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newWebhooksReconcile(g *gateway) *cobra.Command {
	return &cobra.Command{
		Use: "reconcile SERVICE", Short: "Look for events that never came now", Args: cobra.ExactArgs(1),
		Long:    "Have the gateway read the provider's list of events now, and take in what never came. sallyport webhooks list does not wait for it; the service's status tells what was found.",
		Example: "  sallyport webhooks reconcile stripe",
		RunE: func(cmd *cobra.Command, args []string) error {
			var out struct{ Status string }
			if err := g.do(cmd.Context(), http.MethodPost, webhooksPath(args[0])+"/reconcile", nil, nil, &out); err != nil {
				return err
			}
			return g.show(out, func() { g.ui.say("the list of %s is %s", args[0], out.Status) })
		},
	}
}

func (g *gateway) webhooks(cmd *cobra.Command, method, path string, w whose, dry bool) error {
	query := url.Values{}
	for name, value := range map[string]string{"tenant": w.tenant, "connection": w.connection} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if dry {
		query.Set("dry_run", "true")
	}
	var c api.ComparisonView
	if err := g.do(cmd.Context(), method, path, query, nil, &c); err != nil {
		return err
	}
	return g.show(c, func() { g.comparison(&c, dry) })
}

func (g *gateway) comparison(c *api.ComparisonView, dry bool) {
	if c.Later {
		g.ui.say("it is done for each tenant in the background; GET /api/v1/integrations/SERVICE/status tells how it stands")
		return
	}
	g.ui.say("events are to be sent to %s: %s", c.URL, strings.Join(c.Events, ", "))
	if c.ByHand != "" {
		g.ui.say("this is done by hand: %s", clean(c.ByHand))
		return
	}
	rows := [][]string{}
	for i := range c.Changes {
		rows = append(rows, changeRow(&c.Changes[i]))
	}
	g.ui.table([]string{"", "subscription", "events", "state", "expires", "why"}, rows)
	if !c.Listed {
		g.ui.say("the provider has no list of its own; this is what the gateway has registered")
	}
	if c.Others > 0 {
		g.ui.say("%d of other addresses, left alone", c.Others)
	}
	if dry {
		g.ui.say("nothing was changed")
	}
}

func changeRow(c *api.ChangeView) []string {
	do := c.Do
	switch {
	case c.Done:
		do = styleGood.Render(do + ", done")
	case do != "keep":
		do = styleBold.Render(do)
	}
	expires := ""
	if at := c.Subscription.ExpiresAt; at != nil {
		expires = at.Format(time.RFC3339) + ", " + ago(*at)
	}
	events := c.Events
	if len(events) == 0 {
		events = c.Subscription.Events
	}
	why := c.Why
	if c.Subscription.Error != "" {
		why = strings.TrimPrefix(fmt.Sprintf("%s; %s", why, c.Subscription.Error), "; ")
	}
	return []string{do, clean(c.Subscription.ID), clean(strings.Join(events, " ")), clean(c.Subscription.State), expires, clean(why)}
}
