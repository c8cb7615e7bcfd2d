package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store"
	"github.com/sallyport/sallyport/store/open"
)

// newKeys works on the database itself: the first key can't be made over an
// API that needs one.
func newKeys(ui *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "keys", Short: "Make, list and revoke API keys", GroupID: "run",
		Long: `Make, list and revoke API keys, on the database itself. The gateway may be running meanwhile.

A key of scope app may call providers and read status; one of scope admin may also read payloads and retry.`,
		Example: "  sallyport keys new --name billing\n  sallyport keys list\n  sallyport keys revoke 0199…",
	}
	database := cmd.PersistentFlags().String("database", "", "sqlite:PATH or postgres://… (SALLYPORT_DATABASE; default sqlite:sallyport.db)")
	with := func(ctx context.Context, do func(store.Store) error) error {
		flags := map[string]string{}
		if *database != "" {
			flags["database"] = *database
		}
		c, err := config.Load("", os.LookupEnv, flags)
		if err != nil {
			return err
		}
		s, err := open.Database(ctx, c.Database, open.Options{})
		if err != nil {
			return err
		}
		return errors.Join(do(s), s.Close())
	}
	cmd.AddCommand(newKeysNew(ui, with), newKeysList(ui, with), newKeysRevoke(ui, with))
	return cmd
}

type withStore func(ctx context.Context, do func(store.Store) error) error

func newKeysNew(ui *terminal, with withStore) *cobra.Command {
	var name, scope string
	cmd := &cobra.Command{
		Use: "new", Short: "Make a key and print it, once", Args: cobra.NoArgs, Example: "  sallyport keys new --name laptop --scope admin",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return errors.New("--name is missing: say what the key is for")
			}
			if scope != string(integration.ScopeApp) && scope != string(integration.ScopeAdmin) {
				return fmt.Errorf("--scope: %q is not one of app, admin", scope)
			}
			return with(cmd.Context(), func(s store.Store) error {
				secret, key := api.NewKey(name, integration.Scope(scope), time.Now())
				if err := s.CreateKey(cmd.Context(), key, auditOf("key.create", key.ID, name+", scope "+scope)); err != nil {
					return err
				}
				ui.say("key %s (%s), scope %s; it is shown this once:", key.ID, name, scope)
				ui.print("%s", secret.Reveal())
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what the key is for")
	cmd.Flags().StringVar(&scope, "scope", "app", "app or admin")
	fixedCompletion(cmd, "scope", "app", "admin")
	return cmd
}

func newKeysList(ui *terminal, with withStore) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "list", Short: "List the keys", Args: cobra.NoArgs, Example: "  sallyport keys list --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd.Context(), func(s store.Store) error {
				keys, err := s.Keys(cmd.Context())
				if err != nil {
					return err
				}
				return ui.listKeys(keys, output)
			})
		},
	}
	cmd.Flags().StringVar(&output, "output", "table", "table or json")
	fixedCompletion(cmd, "output", "table", "json")
	return cmd
}

func (t *terminal) listKeys(keys []integration.APIKey, output string) error {
	type view struct {
		ID      string     `json:"id"`
		Name    string     `json:"name"`
		Scope   string     `json:"scope"`
		Created time.Time  `json:"created_at"`
		Revoked *time.Time `json:"revoked_at,omitempty"`
	}
	views, rows := []view{}, [][]string{}
	for _, k := range keys {
		v := view{ID: k.ID, Name: k.Name, Scope: string(k.Scope), Created: k.CreatedAt}
		state := "valid"
		if !k.RevokedAt.IsZero() {
			v.Revoked = &k.RevokedAt
			state = "revoked " + k.RevokedAt.Format(time.RFC3339)
		}
		views = append(views, v)
		rows = append(rows, []string{k.ID, k.Name, v.Scope, k.CreatedAt.Format(time.RFC3339), state})
	}
	switch output {
	case "json":
		b, err := json.MarshalIndent(views, "", "  ")
		if err != nil {
			return err
		}
		return t.write("", append(b, '\n'))
	case "table":
		t.table([]string{"id", "name", "scope", "created", "state"}, rows)
		return nil
	}
	return fmt.Errorf("--output: %q is not one of table, json", output)
}

func newKeysRevoke(ui *terminal, with withStore) *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Revoke a key, at once", Args: cobra.ExactArgs(1), Example: "  sallyport keys revoke 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11",
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd.Context(), func(s store.Store) error {
				err := s.RevokeKey(cmd.Context(), args[0], time.Now(), auditOf("key.revoke", args[0], ""))
				if errors.Is(err, integration.ErrNotFound) {
					return fmt.Errorf("there is no key %s; sallyport keys list shows them", args[0])
				}
				if err == nil {
					ui.say("revoked %s", args[0])
				}
				return err
			})
		},
	}
}

func auditOf(action, target, detail string) integration.AuditEntry {
	return integration.AuditEntry{
		ID: uuid.Must(uuid.NewV7()).String(), At: time.Now().UTC(), Actor: "command line", Action: action, Target: target, Detail: detail,
	}
}
