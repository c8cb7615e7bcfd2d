package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
	"github.com/sallyport/sallyport/vault"
)

type sandboxOptions struct {
	spec, listen, webhooksTo, faults, environment string
	redirectURIs                                  []string
	seed                                          uint64
}

func newSandbox(ui *terminal) *cobra.Command {
	var o sandboxOptions
	cmd := &cobra.Command{
		Use: "sandbox PLAN", Short: "Stand in for the provider", GroupID: "run", Args: cobra.ExactArgs(1),
		Long: `Stand in for the provider: answers from its own document, remembers what was created, checks the credential, signs and sends
webhooks, and misbehaves on request.

Where the plan's credential is one of OAuth it is the authorization server as well: the person consents at once, the app is the plan's
client_id and client_secret, or sandbox-app and sandbox-secret where those are not set, and calls need a token that it gave.

It takes the credential and signs with the webhook secret that the plan's environment names. /_sandbox/requests shows what came in,
POST /_sandbox/events sends an event, PUT /_sandbox/faults sets faults.`,
		Example: `  sallyport sandbox integrations/stripe.yaml --webhooks-to http://127.0.0.1:8080/api/webhooks/stripe
  sallyport sandbox integrations/stripe.yaml --faults faults.yaml --seed 7
  curl localhost:4010/_sandbox/events -d '{"type": "invoice.paid"}'`,
		ValidArgsFunction: completePlans,
		RunE:              func(cmd *cobra.Command, args []string) error { return runSandbox(cmd.Context(), ui, args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.spec, "spec", "", "the provider's OpenAPI document; the one the plan pins when empty")
	f.StringVar(&o.listen, "listen", "127.0.0.1:4010", "address to listen on, host:port")
	f.StringVar(&o.webhooksTo, "webhooks-to", "", "URL that events are sent to; they are only kept when empty")
	f.StringVar(&o.faults, "faults", "", "file of faults, YAML or JSON")
	f.StringVar(&o.environment, "environment", "development", "environment of the plan whose secrets are used")
	f.StringSliceVar(&o.redirectURIs, "redirect-uri", []string{"http://127.0.0.1:8080/oauth/callback", "http://localhost:8080/oauth/callback"}, "where the authorization server may send people back to; may be repeated")
	f.Uint64Var(&o.seed, "seed", 1, "two sandboxes with one seed answer alike")
	return cmd
}

func runSandbox(ctx context.Context, ui *terminal, file string, o sandboxOptions) error {
	p, err := plan.Load(file, catalog.Load)
	if err != nil {
		return err
	}
	config, err := sandboxConfig(ui, p, o)
	if err != nil {
		return err
	}
	s, err := sandbox.New(config)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", o.listen, err)
	}
	ui.print("sandbox stands in for %s on http://%s", p.Provider.Name, l.Addr())
	if config.OAuth != nil {
		ui.say("people authorise there; they may be sent back to %s", strings.Join(o.redirectURIs, ", "))
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	select {
	case <-ctx.Done():
	case err := <-served:
		return err
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(grace), <-ran)
}

func sandboxConfig(ui *terminal, p *plan.Plan, o sandboxOptions) (sandbox.Config, error) {
	c := sandbox.Config{Plan: p, WebhooksTo: o.webhooksTo, Seed: o.seed, Log: slog.New(slog.NewTextHandler(ui.rawErr, nil))}
	if !ui.isTTY {
		c.Log = slog.New(slog.NewJSONHandler(ui.rawErr, nil))
	}
	var err error
	if c.Document, err = sandboxDocument(ui, p, o.spec); err != nil {
		return c, err
	}
	if c.Fixtures, err = fixturesOf(p.Provider); err != nil {
		return c, err
	}
	environment, ok := p.Environments[o.environment]
	if !ok {
		return c, fmt.Errorf("--environment: the plan has no environment %q", o.environment)
	}
	var problems []error
	resolve := func(name string) (out []integration.Secret) {
		for _, reference := range environment.Secrets[name] {
			secret, err := vault.Resolve(reference, os.LookupEnv)
			if err != nil {
				problems = append(problems, fmt.Errorf("secrets.%s: %w", name, err))
				continue
			}
			out = append(out, secret)
		}
		return out
	}
	c.Secrets.APIKeys = resolve(vault.APIKey)
	if webhook := resolve(vault.WebhookSecret); len(webhook) > 0 {
		c.Secrets.Webhook = webhook[0]
	}
	if c.OAuth, err = sandboxOAuth(ui, p, o.redirectURIs, resolve); err != nil {
		return c, err
	}
	if len(problems) > 0 {
		// Without secrets it still answers: any test key is taken, and no
		// webhook is sent.
		for _, problem := range problems {
			ui.say("%s %v", styleDim.Render("note:"), problem)
		}
	}
	if o.faults != "" {
		data, err := os.ReadFile(o.faults)
		if err != nil {
			return c, err
		}
		if c.Faults, err = sandbox.ParseFaults(filepath.Base(o.faults), data); err != nil {
			return c, err
		}
	}
	return c, nil
}

// sandboxOAuth is the authorization server of a plan; nil where its credential
// needs none.
func sandboxOAuth(ui *terminal, p *plan.Plan, redirectURIs []string, resolve func(string) []integration.Secret) (*sandbox.OAuth, error) {
	i := slices.IndexFunc(p.Provider.Auth, func(a catalog.Auth) bool { return a.Kind == p.Auth.Use })
	if i < 0 || p.Provider.Auth[i].OAuth == nil || p.Provider.Auth[i].Kind == "oauth1" {
		return nil, nil //nolint:nilnil // most plans need none
	}
	c := sandbox.OAuthConfig{
		Auth: p.Provider.Auth[i], Variables: p.Provider.API.Variables, ClientID: "sandbox-app", ClientSecret: "sandbox-secret", RedirectURIs: redirectURIs,
	}
	if id := resolve("client_id"); len(id) > 0 {
		c.ClientID = id[0].Reveal()
	} else {
		ui.say("client_id is %s", c.ClientID)
	}
	if secret := resolve("client_secret"); len(secret) > 0 {
		c.ClientSecret = secret[0].Reveal()
	} else {
		ui.say("client_secret is %s", c.ClientSecret)
	}
	return sandbox.NewOAuth(c)
}

func sandboxDocument(ui *terminal, p *plan.Plan, spec string) (*openapi.Document, error) {
	if spec == "" {
		return documentOf(ui, p)
	}
	return readSpec(spec)
}

// fixturesOf are the provider's own samples, where the binary carries them.
func fixturesOf(p *catalog.Profile) ([]byte, error) {
	if p.Document.Fixtures == "" {
		return nil, nil
	}
	return catalog.ReadDocument(p.Document.Fixtures)
}
