package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/vault"
)

func newConnections(ui *terminal) *cobra.Command {
	g := &gateway{ui: ui}
	cmd := &cobra.Command{
		Use: "connections", Short: "Look at tenants' connections, make and end them", GroupID: "run",
		Long: "Look at the connections of your customers, begin one, connect one again, and end one." + strings.Replace(gatewayHelp, "of scope admin", "of scope app or admin", 1),
		Example: `  sallyport connections list hubspot
  sallyport connections connect hubspot --tenant acme
  sallyport connections connect github --tenant acme --device --wait
  sallyport connections disconnect hubspot 0199…`,
	}
	g.flags(cmd)
	cmd.AddCommand(newConnectionsList(g), newConnectionsShow(g), newConnectionsConnect(g), newConnectionsDisconnect(g))
	return cmd
}

// connectionsOf asks for the connections of a service, of one tenant or of all.
func (g *gateway) connectionsOf(ctx context.Context, service, tenant string) ([]api.ConnectionStatus, error) {
	query := url.Values{}
	if tenant != "" {
		query.Set("tenant", tenant)
	}
	var out struct {
		Connections []api.ConnectionStatus `json:"connections"`
	}
	if err := g.do(ctx, http.MethodGet, "/api/v1/integrations/"+url.PathEscape(service)+"/status", query, nil, &out); err != nil {
		return nil, err
	}
	if out.Connections == nil {
		out.Connections = []api.ConnectionStatus{}
	}
	return out.Connections, nil
}

func newConnectionsList(g *gateway) *cobra.Command {
	var tenant, state string
	cmd := &cobra.Command{
		Use: "list SERVICE", Short: "List connections, the newest first, 500 at most", Args: cobra.ExactArgs(1),
		Example: "  sallyport connections list hubspot --state needs_reauth --output json",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := g.connectionsOf(cmd.Context(), args[0], tenant)
			if err != nil {
				return err
			}
			if state != "" {
				list = slices.DeleteFunc(list, func(c api.ConnectionStatus) bool { return c.State != state })
			}
			return g.show(list, func() {
				rows := [][]string{}
				for i := range list {
					c := &list[i]
					rows = append(rows, []string{c.ID, clean(c.Tenant), connectionStyle(c.State), clean(c.Account), agoOf(c.ExpiresAt), agoOf(c.LastUsedAt), clean(c.Reason)})
				}
				g.ui.table([]string{"id", "tenant", "state", "account", "expires", "used", "reason"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "one customer's only")
	cmd.Flags().StringVar(&state, "state", "", "connected, expiring, needs_reauth or disconnected")
	fixedCompletion(cmd, "state", "connected", "expiring", "needs_reauth", "disconnected")
	return cmd
}

// connectionStyle colours a state by whether somebody has to act.
func connectionStyle(state string) string {
	switch state {
	case "connected":
		return styleGood.Render(state)
	case "expiring", "needs_reauth":
		return styleBad.Render(state)
	}
	return state
}

func agoOf(at *time.Time) string {
	if at == nil {
		return ""
	}
	return ago(*at)
}

func newConnectionsShow(g *gateway) *cobra.Command {
	return &cobra.Command{
		Use: "show SERVICE ID", Short: "Show everything about a connection", Args: cobra.ExactArgs(2),
		Example: "  sallyport connections show hubspot 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := g.connectionsOf(cmd.Context(), args[0], "")
			if err != nil {
				return err
			}
			for i := range list {
				if list[i].ID == args[1] {
					return g.show(list[i], func() { g.connection(&list[i]) })
				}
			}
			return fmt.Errorf("%s has no connection %s among its 500 newest; sallyport connections list %s --tenant TENANT shows those of one customer", args[0], args[1], args[0])
		},
	}
}

func (g *gateway) connection(c *api.ConnectionStatus) {
	rows := [][]string{
		{"tenant", clean(c.Tenant)},
		{"state", connectionStyle(c.State)},
		{"reason", clean(c.Reason)},
		{"account", clean(c.Account)},
		{"scopes", clean(strings.Join(c.Scopes, " "))},
		{"made", c.ConnectedAt.Format(time.RFC3339)},
		{"changed", c.UpdatedAt.Format(time.RFC3339)},
		{"expires", agoOf(c.ExpiresAt)},
		{"used", agoOf(c.LastUsedAt)},
		{"due for", c.Pending},
		{"connect again at", clean(c.Reconnect)},
	}
	if c.Device != nil {
		rows = append(rows, []string{"code to confirm", clean(c.Device.UserCode)}, []string{"at", clean(c.Device.URI)})
	}
	rows = slices.DeleteFunc(rows, func(r []string) bool { return r[1] == "" })
	g.ui.table([]string{c.ID, ""}, rows)
}

// connecting is what connect asks the gateway for.
type connecting struct {
	Tenant     string            `json:"tenant"`
	Connection string            `json:"connection,omitempty"`
	Another    bool              `json:"another,omitempty"`
	ReturnURL  string            `json:"return_url,omitempty"`
	Secrets    map[string]string `json:"secrets,omitempty"`
	Variables  map[string]string `json:"variables,omitempty"`
	Scopes     []string          `json:"scopes,omitempty"`
	Device     bool              `json:"device,omitempty"`
}

func newConnectionsConnect(g *gateway) *cobra.Command {
	var in connecting
	var secrets []string
	var wait bool
	cmd := &cobra.Command{
		Use: "connect SERVICE --tenant TENANT", Short: "Connect a customer's account, or connect it again", Args: cobra.ExactArgs(1),
		Long: `Connect a customer's account, or connect it again under the same id. Where somebody has to authorise, or no secrets are given, the answer
is an address to send that person to; with --device it is a code to confirm.

No secret stands on the command line: --secret NAME reads its value from standard input, --secret NAME=env:VARIABLE and
--secret NAME=file:PATH from there.`,
		Example: `  sallyport connections connect hubspot --tenant acme --wait
  sallyport connections connect shopify --tenant acme --variable shop=acme-store
  sallyport connections connect sendgrid --tenant acme --secret api_key < key.txt
  sallyport connections connect auth0 --tenant acme --secret client_id=env:ID --secret client_secret=env:SECRET`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Tenant == "" {
				return errors.New("--tenant is missing: say whose account it is")
			}
			var err error
			if in.Secrets, err = g.ui.namedSecrets(secrets); err != nil {
				return err
			}
			return g.connect(cmd.Context(), args[0], in, wait)
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Tenant, "tenant", "", "your customer")
	f.StringVar(&in.Connection, "connection", "", "id of the connection to connect again; without it, the one the tenant has")
	f.BoolVar(&in.Another, "another", false, "make a further connection of a tenant that has one")
	f.StringVar(&in.ReturnURL, "return-url", "", "where the person goes in the end; one of the gateway's return_urls")
	f.StringArrayVar(&secrets, "secret", nil, "NAME, NAME=env:VARIABLE or NAME=file:PATH; may be repeated")
	f.StringToStringVar(&in.Variables, "variable", nil, "part of an address, NAME=VALUE; may be repeated")
	f.StringSliceVar(&in.Scopes, "scope", nil, "besides those of the plan; may be repeated")
	f.BoolVar(&in.Device, "device", false, "have a code confirmed on any device, where the provider offers that")
	f.BoolVar(&wait, "wait", false, "wait until the person has authorised; Ctrl-C stops waiting")
	return cmd
}

// namedSecrets reads secrets from where they are. What is no reference is not
// shown: it may be the secret itself.
func (t *terminal) namedSecrets(named []string) (map[string]string, error) {
	values := map[string]string{}
	read := false
	for _, one := range named {
		name, reference, refers := strings.Cut(one, "=")
		switch {
		case name == "":
			return nil, errors.New("--secret: write NAME, NAME=env:VARIABLE or NAME=file:PATH")
		case !refers && read:
			return nil, errors.New("--secret: only one can be read from standard input; write the others as NAME=env:VARIABLE or NAME=file:PATH")
		case !refers:
			read = true
			secret, err := t.newSecret(name)
			if err != nil {
				return nil, fmt.Errorf("--secret %s: %w", name, err)
			}
			values[name] = secret.Reveal()
			continue
		case !strings.HasPrefix(reference, "env:") && !strings.HasPrefix(reference, "file:"):
			return nil, fmt.Errorf("--secret %s: the value (not shown) is no reference; write %s=env:VARIABLE or %s=file:PATH, or %s alone and give it on standard input", name, name, name, name)
		}
		secret, err := vault.Resolve(reference, func(name string) (string, bool) { v := t.getenv(name); return v, v != "" })
		if err != nil {
			return nil, fmt.Errorf("--secret %s: %w", name, err)
		}
		values[name] = secret.Reveal()
	}
	return values, nil
}

func (g *gateway) connect(ctx context.Context, service string, in connecting, wait bool) error {
	var out api.Connecting
	if err := g.do(ctx, http.MethodPost, "/api/v1/integrations/"+url.PathEscape(service)+"/connect", nil, in, &out); err != nil {
		return err
	}
	made := out.URL == ""
	if wait && !made {
		g.invite(g.ui.say, &out)
		began := time.Now()
		state, err := g.await(ctx, service, in.Tenant, out.Connection, began)
		if err != nil {
			return err
		}
		out.State, out.URL, out.Device, made = state, "", nil, true
	}
	return g.show(out, func() {
		if !made {
			g.invite(g.ui.print, &out)
			return
		}
		g.ui.print("connection %s is %s", out.Connection, out.State)
		if out.Untried {
			g.ui.say("nobody knows whether the keys work: the profile knows no harmless call to try them with")
		}
	})
}

// invite says where the person goes.
func (g *gateway) invite(say func(string, ...any), c *api.Connecting) {
	if d := c.Device; d != nil {
		say("confirm the code %s at %s within %s", clean(d.UserCode), clean(d.URI), time.Until(d.ExpiresAt).Round(time.Second))
		if d.CompleteURI != "" {
			say("or open %s", clean(d.CompleteURI))
		}
		return
	}
	say("%s", clean(c.URL))
}

// asksEvery is how often await looks.
const asksEvery = time.Second

// await waits until a connection was made, or made anew, since began.
func (g *gateway) await(ctx context.Context, service, tenant, id string, began time.Time) (state string, err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	ticker := time.NewTicker(asksEvery)
	defer ticker.Stop()
	waited := false // for a code
	for {
		list, err := g.connectionsOf(ctx, service, tenant)
		if err != nil && ctx.Err() == nil {
			return "", err
		}
		for i := range list {
			c := &list[i]
			switch {
			case c.ID != id:
			case c.Device != nil:
				waited = true
			case c.State == "connected" && c.UpdatedAt.After(began):
				return c.State, nil
			case waited:
				return "", fmt.Errorf("connection %s is %s: %s", id, c.State, clean(c.Reason))
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("nobody authorised so far; the address goes on to work, and sallyport connections list %s shows what came of it", service)
		case <-ticker.C:
		}
	}
}

func newConnectionsDisconnect(g *gateway) *cobra.Command {
	return &cobra.Command{
		Use: "disconnect SERVICE ID", Short: "End a connection: revoke at the provider, delete the credentials", Args: cobra.ExactArgs(2),
		Example: "  sallyport connections disconnect hubspot 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11",
		RunE: func(cmd *cobra.Command, args []string) error {
			var out api.Disconnecting
			in := map[string]string{"connection": args[1]}
			if err := g.do(cmd.Context(), http.MethodPost, "/api/v1/integrations/"+url.PathEscape(args[0])+"/disconnect", nil, in, &out); err != nil {
				return err
			}
			return g.show(out, func() { g.ui.print("connection %s: %s", out.Connection, clean(out.Reason)) })
		},
	}
}
