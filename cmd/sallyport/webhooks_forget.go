package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
)

func newWebhooksForgetSecret(g *gateway) *cobra.Command {
	var source string
	var yes bool
	cmd := &cobra.Command{
		Use: "forget-secret SERVICE", Short: "Forget the signing secret that the provider delivered", Args: cobra.ExactArgs(1),
		Long: `Forget the signing secret that the provider delivered in its handshake. A secret that comes unsigned is kept only while there is none: do this before
you make the webhook anew at the provider. Until a new one comes, events of the address are refused.`,
		Example: "  sallyport webhooks forget-secret asana\n  sallyport webhooks forget-secret asana --source projects --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := g.ui.meant(yes, "Events of "+args[0]+" are refused until a new secret comes. Type its name to go on: ", args[0]); err != nil {
				return err
			}
			query := url.Values{}
			if source != "" {
				query.Set("source", source)
			}
			var out api.Forgotten
			if err := g.do(cmd.Context(), http.MethodDelete, webhooksPath(args[0])+"/delivered-secrets", query, nil, &out); err != nil {
				return err
			}
			return g.show(out, func() { g.ui.say("%d forgotten", out.Forgotten) })
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "address of the plan's webhooks.sources; the main one when empty")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
