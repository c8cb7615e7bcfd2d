package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/store"
	"github.com/sallyport/sallyport/vault"
)

func newSecrets(ui *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "secrets", Short: "List, replace and rotate secrets", GroupID: "run",
		Long: `List the secrets that plans refer to, replace one, and rotate the master key that customers' credentials are sealed with.

No value is ever printed: a fingerprint, the first eight hex digits of its SHA-256, tells one from another.`,
		Example: "  sallyport secrets list --environment production\n  sallyport secrets replace stripe api_key\n  sallyport secrets rotate",
	}
	keys := sealing{ui: ui}
	keys.flags(cmd)
	plans := planned{ui: ui}
	cmd.AddCommand(newSecretsList(ui, &keys, &plans), newSecretsReplace(ui, &plans), newSecretsLeaked(ui, &keys, &plans), newSecretsRotate(ui, &keys), newSecretsKeyset(ui), newSecretsErasureKeys(ui))
	return cmd
}

// planned is which plans, in which environment.
type planned struct {
	ui                  *terminal
	folder, environment string
}

func (p *planned) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.folder, "plans", "", "folder of plan files (SALLYPORT_PLANS; default integrations)")
	cmd.Flags().StringVar(&p.environment, "environment", "", "environment of each plan (SALLYPORT_ENVIRONMENT; default development)")
}

func (p *planned) load() ([]*plan.Plan, error) {
	for value, from := range map[*string][2]string{&p.folder: {"SALLYPORT_PLANS", "integrations"}, &p.environment: {"SALLYPORT_ENVIRONMENT", "development"}} {
		if *value == "" {
			*value = p.ui.getenv(from[0])
		}
		if *value == "" {
			*value = from[1]
		}
	}
	files, err := filepath.Glob(filepath.Join(p.folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("--plans: %s holds no plan (*.yaml)", p.folder)
	}
	return loadPlans(files)
}

func newSecretsList(ui *terminal, keys *sealing, plans *planned) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "list", Short: "List the secrets of plans: where they are, how old, what is overdue", Args: cobra.NoArgs,
		Long: `List the secrets that plans refer to in an environment. Their age counts from when this command or the gateway saw the value first. The
exit code is 1 when one is older than its plan allows (auth.rotate_every).`,
		Example: "  sallyport secrets list --environment production --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := plans.load()
			if err != nil {
				return err
			}
			return keys.with(cmd.Context(), func(s store.Store) error { return ui.listSecrets(cmd.Context(), s, list, plans.environment, output) })
		},
	}
	plans.flags(cmd)
	cmd.Flags().StringVar(&output, "output", "table", "table or json")
	fixedCompletion(cmd, "output", "table", "json")
	return cmd
}

// secretView is one secret in a list.
type secretView struct {
	Service     string     `json:"service"`
	Name        string     `json:"name"`
	Reference   string     `json:"reference"`
	Fingerprint string     `json:"fingerprint"`
	Since       time.Time  `json:"since"`
	DueAt       *time.Time `json:"due_at,omitempty"`
	Overdue     bool       `json:"overdue"`
	Used        bool       `json:"used"` // the one that is used; others are accepted as well
}

func (t *terminal) listSecrets(ctx context.Context, s store.Store, plans []*plan.Plan, environment, output string) error {
	resolver := t.resolver()
	views := []secretView{}
	var problems []error
	for _, p := range plans {
		secrets, err := vault.OpenWith(ctx, p, environment, resolver)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		ages, err := (&vault.Ageing{Secrets: secrets, Kept: s}).Look(ctx)
		if err != nil {
			return err
		}
		for _, a := range ages {
			v := secretView{Service: p.Service, Name: a.Name, Reference: a.Reference, Fingerprint: a.Fingerprint, Since: a.Since, Overdue: a.Overdue, Used: a.First}
			if !a.DueAt.IsZero() {
				v.DueAt = &a.DueAt
			}
			if v.Overdue {
				problems = append(problems, fmt.Errorf("%s: %s is overdue since %s; replace it: sallyport secrets replace %s %s", v.Service, v.Name, a.DueAt.Format(time.DateOnly), v.Service, v.Name))
			}
			views = append(views, v)
		}
	}
	switch output {
	case "json":
		problems = append(problems, t.json(views))
	case "table":
		rows := make([][]string, len(views))
		for i, v := range views {
			due := "never"
			switch {
			case v.Overdue:
				due = styleBad.Render("overdue")
			case v.DueAt != nil:
				due = v.DueAt.Format(time.DateOnly)
			}
			rows[i] = []string{v.Service, v.Name, v.Reference, v.Fingerprint, ago(v.Since), due}
		}
		t.table([]string{"service", "name", "reference", "fingerprint", "seen first", "replace by"}, rows)
	default:
		return fmt.Errorf("--output: %q is not one of table, json", output)
	}
	return errors.Join(problems...)
}

func newSecretsRotate(ui *terminal, keys *sealing) *cobra.Command {
	return &cobra.Command{
		Use: "rotate", Short: "Swap the master key and seal every credential anew", Args: cobra.NoArgs,
		Long: `Add a new master key, make a new data key for every customer, seal every credential anew, and disable the old master key when nothing is
sealed with it any more. The gateway goes on meanwhile. When this is interrupted, run it again: it goes on where it was.

The old key stays in the keyset, disabled, for backups from before. Where the master key is with a key service, its rotation is done there;
this seals anew with the current one.`,
		Example: "  sallyport secrets rotate --database sqlite:/var/lib/sallyport/sallyport.db",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return keys.with(cmd.Context(), func(s store.Store) error {
				master, err := keys.master(cmd.Context(), s)
				if err != nil {
					return err
				}
				erasureKeys, err := keys.erasureKeys()
				if err != nil {
					return err
				}
				r := vault.Rotation{
					Store: s, Master: master, ErasureKeys: erasureKeys, Actor: "command line",
					Progress: func(r integration.KeyRotation) { ui.say("%s", rotated(r)) },
					Damaged: func(connection, field string) {
						ui.say("%s of connection %s is damaged: its customer has to connect again", field, connection)
					},
				}
				state, err := r.Run(cmd.Context())
				if err != nil {
					return err
				}
				ui.print("done: %s", rotated(state))
				return nil
			})
		},
	}
}

func newSecretsKeyset(ui *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "keyset FILE", Short: "Make a master key in a new file", Args: cobra.ExactArgs(1),
		Long:    "Make a keyset with one new master key, in a new file that only its owner may read. Keep a copy apart from the database.",
		Example: "  sallyport secrets keyset /etc/sallyport/keyset.json",
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); err == nil {
				return fmt.Errorf("%s is there already; a keyset is never written over", args[0])
			}
			if err := vault.CreateKeyset(args[0]); err != nil {
				return err
			}
			ui.say("made %s; start the gateway with keyset: file:%s, and keep a copy apart from the database", args[0], args[0])
			return nil
		},
	}
}

func newSecretsErasureKeys(ui *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "erasure-keys FOLDER", Short: "Make a folder for erasure keys", Args: cobra.ExactArgs(1),
		Long: `Make a folder for erasure keys, one a customer: a customer's credentials can be opened only with the master key and the customer's erasure
key. It lies outside of the database and its backups, so erasing a customer makes every copy of the database unreadable for that customer,
and for no other.

All gateways on a database need the same folder, and they need it always: whoever loses it loses every stored credential. Keep a copy apart
from the backups of the database, and replace that copy when a customer was erased. Credentials from before get one with: sallyport secrets
rotate.`,
		Example: "  sallyport secrets erasure-keys /var/lib/sallyport-erasure\n  SALLYPORT_ERASURE_KEYS=/var/lib/sallyport-erasure sallyport secrets rotate",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := vault.CreateErasureKeys(args[0]); err != nil {
				return err
			}
			ui.say("made %s; start every gateway on the database with erasure_keys: %s, keep it out of the database's backups, and run: sallyport secrets rotate", args[0], args[0])
			return nil
		},
	}
}

func newSecretsReplace(ui *terminal, plans *planned) *cobra.Command {
	var connection string
	g := gateway{ui: ui}
	cmd := &cobra.Command{
		Use: "replace SERVICE NAME", Short: "Put a new value in place of a secret, with overlap", Args: cobra.ExactArgs(2),
		Long: `Put a new value in place of a secret. It is read from the terminal without being shown, or from standard input.

A plan's secret in a file is replaced: where the plan names two files, the second gets the value of the first, so that both are accepted; then
the first gets the new one. One in a HashiCorp Vault gets a new version; with ?versions=2 in the plan the one before stays valid. The gateway
reads it within a minute, or on SIGHUP. For a secret that lies elsewhere this says what to change there.

With --connection it is a key of that customer's connection, which the gateway keeps sealed: the new one is tried at the provider first, and
calls use the old one until it works. Revoke the old one at the provider a minute later.` + gatewayHelp,
		Example: `  sallyport secrets replace stripe webhook_secret --environment production < new-secret
  sallyport secrets replace sendgrid api_key --connection 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11 < new-key`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if connection != "" {
				return g.replaceOf(cmd.Context(), args[0], args[1], connection)
			}
			references, err := plans.references(args[0], args[1])
			if err != nil {
				return err
			}
			return ui.replaceSecret(cmd.Context(), args[0], args[1], references)
		},
	}
	plans.flags(cmd)
	g.flags(cmd)
	cmd.Flags().StringVar(&connection, "connection", "", "id of a customer's connection")
	return cmd
}

// references are where a plan says that a secret is.
func (p *planned) references(service, name string) (catalog.OneOrMore, error) {
	list, err := p.load()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(p *plan.Plan) bool { return p.Service == service })
	if i < 0 {
		return nil, fmt.Errorf("there is no plan for %q in %s", service, p.folder)
	}
	references := list[i].Environments[p.environment].Secrets[name]
	if len(references) == 0 {
		known := slices.Sorted(maps.Keys(list[i].Environments[p.environment].Secrets))
		return nil, fmt.Errorf("%s: environments.%s has no secret of that name; it has %s", service, p.environment, strings.Join(known, ", ")) // the name may be a value in the wrong place
	}
	return references, nil
}

// replaceOf has the gateway replace a key of a connection.
func (g *gateway) replaceOf(ctx context.Context, service, name, connection string) error {
	secret, err := g.ui.newSecret("new " + name + " of connection " + connection)
	if err != nil {
		return err
	}
	in := map[string]any{"connection": connection, "secrets": map[string]string{name: secret.Reveal()}}
	var out api.Connecting
	if err := g.do(ctx, http.MethodPost, "/api/v1/integrations/"+url.PathEscape(service)+"/secrets", nil, in, &out); err != nil {
		return err
	}
	return g.show(out, func() {
		g.ui.print("%s of connection %s is now %s; revoke the old one at the provider in a minute, when no instance uses it any more", name, connection, secret.Fingerprint())
		if out.Untried {
			g.ui.say("nobody knows a harmless call to try it with: see whether the next call works")
		}
	})
}

func (t *terminal) resolver() *vault.Resolver {
	return vault.NewResolver(func(name string) (string, bool) { v := t.getenv(name); return v, v != "" })
}

func (t *terminal) replaceSecret(ctx context.Context, service, name string, references catalog.OneOrMore) error {
	resolver := t.resolver()
	scheme, _, _ := strings.Cut(references[0], ":")
	if scheme != "file" && scheme != "vault" {
		return fmt.Errorf("%s of %s is not stored with us: %s", name, service, elsewhere(name, references))
	}
	secret, err := t.newSecret("new value of " + service + " " + name)
	if err != nil {
		return err
	}
	overlap := strings.Contains(references[0], "?versions=")
	if len(references) > 1 && scheme == "file" && strings.HasPrefix(references[1], "file:") {
		old, err := resolver.All(ctx, references[0])
		if err != nil {
			return err
		}
		if err := resolver.Put(ctx, references[1], old[0]); err != nil {
			return err
		}
		overlap = true
	}
	if err := resolver.Put(ctx, references[0], secret); err != nil {
		return err
	}
	t.say("%s of %s is now %s; the gateway reads it within a minute, or on SIGHUP", name, service, secret.Fingerprint())
	switch {
	case overlap:
	case scheme == "vault":
		t.say("the old value is not accepted any more; for an overlap, write %s?versions=2 in the plan", references[0])
	default:
		t.say("the old value is not accepted any more; for an overlap, name a second file: %s: [%s, %s.before]", name, references[0], references[0])
	}
	return nil
}

// elsewhere says what to do about a secret that we can't write.
func elsewhere(name string, references catalog.OneOrMore) string {
	scheme, rest, _ := strings.Cut(references[0], ":")
	switch scheme {
	case "env":
		return fmt.Sprintf("set %s to the new value, keep the old one in another variable that the plan names second (%s: [env:%s, env:%s_BEFORE]), and restart the gateway", rest, name, rest, rest)
	case "ssm":
		return fmt.Sprintf("put the new value with: aws ssm put-parameter --overwrite --type SecureString --name %s; name the version before second in the plan for an overlap. The gateway reads it within a minute", rest)
	}
	return "change it where it lies"
}

// newSecret reads a value without showing it.
func (t *terminal) newSecret(what string) (integration.Secret, error) {
	secret, err := t.maybeSecret(what)
	if err == nil && secret.IsZero() {
		err = errors.New("the new value is empty; nothing was done")
	}
	return secret, err
}

// maybeSecret is newSecret where there may be none.
func (t *terminal) maybeSecret(what string) (integration.Secret, error) {
	var b []byte
	var err error
	if in, ok := t.rawIn.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		fmt.Fprintf(t.err, "%s (not shown): ", what)
		b, err = term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(t.err)
	} else {
		b, err = io.ReadAll(io.LimitReader(t.in, 64<<10))
	}
	if err != nil {
		return integration.Secret{}, fmt.Errorf("reading the value: %w", err)
	}
	defer clear(b)
	return integration.NewSecret(strings.TrimRight(string(b), "\r\n")), nil
}
