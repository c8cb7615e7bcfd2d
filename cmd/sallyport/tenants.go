package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/vault"
)

func newTenants(ui *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "tenants", Short: "Erase what is kept of a customer", GroupID: "run",
		Long:    "Erase what is kept of one of your customers, on the database itself. The gateway may be running meanwhile.",
		Example: "  sallyport tenants erase acme --receipt acme.json",
	}
	keys := sealing{ui: ui}
	keys.flags(cmd)
	cmd.AddCommand(newTenantsErase(ui, &keys))
	return cmd
}

func newTenantsErase(ui *terminal, keys *sealing) *cobra.Command {
	var yes, deleteKeys bool
	var receipt string
	cmd := &cobra.Command{
		Use: "erase TENANT", Short: "Delete a customer's credentials and records, for good", Args: cobra.ExactArgs(1),
		Long: `Delete a customer's data keys, credentials, connections, events, calls and their attempts. It can't be undone.

Without its data key no copy of a sealed credential can be opened. A backup of the database from before holds the data key as well, sealed
with the master key of that time. --delete-old-master-keys swaps the master key afterwards and deletes the old ones, so that nobody can open
the credentials in any earlier backup: those of the other customers neither.

Applications keep what they were given; a running gateway forgets what it has in memory within a minute. The connections at the provider stay
as they are: disconnect first to have them revoked.`,
		Example: "  sallyport tenants erase acme --receipt acme.json\n  sallyport tenants erase acme --yes --delete-old-master-keys",
		RunE: func(cmd *cobra.Command, args []string) error {
			tenant := args[0]
			if err := ui.meant(yes, "This deletes all of "+tenant+" for good. Type its name to go on: ", tenant); err != nil {
				return err
			}
			return keys.with(cmd.Context(), func(s store.Store) error {
				return ui.erase(cmd.Context(), s, keys, tenant, receipt, deleteKeys)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	cmd.Flags().BoolVar(&deleteKeys, "delete-old-master-keys", false, "make earlier backups useless, all customers' credentials in them")
	cmd.Flags().StringVar(&receipt, "receipt", "", "write the receipt to this file")
	return cmd
}

func (t *terminal) erase(ctx context.Context, s store.Store, keys *sealing, tenant, file string, deleteKeys bool) error {
	done := t.step("erasing")
	receipt, err := vault.EraseTenant(ctx, s, tenant, "command line", time.Now(), nil)
	done()
	if err != nil {
		return err
	}
	if deleteKeys {
		if receipt, err = keys.deleteOldKeys(ctx, s, receipt); err != nil {
			return errors.Join(err, t.receipt(receipt, file))
		}
	}
	if err := s.Audit(ctx, auditOf("tenant.erased", tenant, "receipt "+receipt.SHA256)); err != nil {
		return err
	}
	return t.receipt(receipt, file)
}

func (t *terminal) receipt(r vault.Receipt, file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return t.write(file, append(b, '\n'))
}

// deleteOldKeys swaps the master key and deletes those before.
func (k *sealing) deleteOldKeys(ctx context.Context, s store.Store, receipt vault.Receipt) (vault.Receipt, error) {
	master, err := k.master(ctx, s)
	if err != nil {
		return receipt, err
	}
	keyset, ok := master.(*vault.Keyset)
	if !ok {
		return receipt, fmt.Errorf("the master key is with %s: delete its old versions there", master.Name())
	}
	if _, err := (&vault.Rotation{Store: s, Master: keyset, Actor: "command line"}).Run(ctx); err != nil {
		return receipt, err
	}
	deleted, err := keyset.DeleteOthers()
	if err != nil {
		return receipt, err
	}
	return receipt.KeysDeleted(deleted), nil
}

// meant has a person confirm what can't be undone by typing a word; without a
// person --yes has to have been given.
func (t *terminal) meant(yes bool, ask, word string) error {
	if yes {
		return nil
	}
	if !t.asks {
		return errors.New("this can't be undone and there is nobody to ask; say --yes")
	}
	fmt.Fprint(t.err, ask)
	line, err := t.in.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != word {
		return errors.New("nothing was done")
	}
	return nil
}

// sealing is where the database and its master key are.
type sealing struct {
	ui               *terminal
	database, keyset string
}

func (k *sealing) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&k.database, "database", "", "sqlite:PATH or postgres://… (SALLYPORT_DATABASE; default sqlite:sallyport.db)")
	cmd.PersistentFlags().StringVar(&k.keyset, "keyset", "", "file:PATH, env:NAME, vault-transit:MOUNT/KEY or aws-kms:ARN (SALLYPORT_KEYSET; default a file beside the database)")
}

func (k *sealing) dsn() string {
	database := k.database
	if database == "" {
		database = k.ui.getenv("SALLYPORT_DATABASE")
	}
	if database == "" {
		database = "sqlite:sallyport.db"
	}
	return database
}

// with opens a database that is there.
func (k *sealing) with(ctx context.Context, do func(store.Store) error) error {
	if path, ok := open.File(k.dsn()); ok {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--database: %w", err)
		}
	}
	s, err := open.Database(ctx, k.dsn(), open.Options{})
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

// master opens the master key; it makes none.
func (k *sealing) master(ctx context.Context, s store.Store) (vault.NamedMaster, error) {
	setting := k.keyset
	if setting == "" {
		setting = k.ui.getenv("SALLYPORT_KEYSET")
	}
	path, ok := open.File(k.dsn())
	switch {
	case setting == "" && !ok:
		return nil, errors.New("--keyset is missing: a shared database has no file beside it to find the master key in")
	case setting == "":
		setting = "file:" + vault.KeysetBeside(path)
	}
	return vault.OpenMaster(ctx, vault.MasterConfig{Setting: setting, Database: path, Keys: s, Resolver: vault.NewResolver(k.lookup)})
}

func (k *sealing) lookup(name string) (string, bool) {
	v := k.ui.getenv(name)
	return v, v != ""
}

// rotated says what a rotation came to.
func rotated(r integration.KeyRotation) string {
	return fmt.Sprintf("%d data keys and %d credentials sealed anew", r.Keys, r.Credentials)
}
