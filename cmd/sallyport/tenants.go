package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
		Long:    "Erase what is kept of one of your customers: on the database itself, or by a running gateway.",
		Example: "  sallyport tenants erase acme --receipt acme.json",
	}
	keys := sealing{ui: ui}
	keys.flags(cmd)
	cmd.AddCommand(newTenantsErase(ui, &keys))
	return cmd
}

// erasing is how a tenant is to be erased.
type erasing struct {
	yes, deleteKeys  bool
	receipt, gateway string
}

func newTenantsErase(ui *terminal, keys *sealing) *cobra.Command {
	var e erasing
	cmd := &cobra.Command{
		Use: "erase TENANT", Short: "Delete a customer's credentials and records, for good", Args: cobra.ExactArgs(1),
		Long: `Delete a customer's data keys, credentials, connections, events, calls and their attempts. It can't be undone. The connections at the
provider stay as they are: disconnect first to have them revoked. Applications keep what they were given.

With --gateway the running gateway does it, and has forgotten the customer at once; SALLYPORT_KEY holds a key of scope admin. Without it this
works on the database. Every other gateway on the database forgets within ten seconds what it has in memory of the customer's credentials.

A backup of the database from before holds the customer's data key, sealed. With erasure keys (sallyport secrets erasure-keys) it is of no use:
the customer's erasure key lies outside of the database and is destroyed. Without them --delete-old-master-keys swaps the master key
afterwards and deletes the old ones, so that nobody can open the credentials in any earlier backup: those of the other customers neither.
The receipt says what is true of backups.`,
		Example: "  sallyport tenants erase acme --receipt acme.json\n  sallyport tenants erase acme --yes --gateway https://sallyport.example.com",
		RunE: func(cmd *cobra.Command, args []string) error {
			if e.gateway != "" && e.deleteKeys {
				return errors.New("--delete-old-master-keys needs the keyset, so it works on the database only: leave out --gateway")
			}
			if err := ui.meant(e.yes, "This deletes all of "+args[0]+" for good. Type its name to go on: ", args[0]); err != nil {
				return err
			}
			if e.gateway != "" {
				return ui.eraseOver(cmd.Context(), &e, args[0])
			}
			return keys.with(cmd.Context(), func(s store.Store) error { return ui.erase(cmd.Context(), s, keys, &e, args[0]) })
		},
	}
	cmd.Flags().BoolVar(&e.yes, "yes", false, "don't ask")
	cmd.Flags().BoolVar(&e.deleteKeys, "delete-old-master-keys", false, "make earlier backups useless, all customers' credentials in them")
	cmd.Flags().StringVar(&e.receipt, "receipt", "", "write the receipt to this file")
	cmd.Flags().StringVar(&e.gateway, "gateway", "", "URL of a running gateway that is to do it")
	return cmd
}

// eraseOver has a gateway erase a tenant. That may take minutes.
func (t *terminal) eraseOver(ctx context.Context, e *erasing, tenant string) error {
	done := t.step("erasing")
	g := gateway{ui: t, address: e.gateway, output: "json", client: &http.Client{Timeout: time.Hour}}
	var receipt vault.Receipt
	err := g.do(ctx, http.MethodDelete, "/api/v1/admin/tenants/"+url.PathEscape(tenant), nil, nil, &receipt)
	done()
	if err != nil {
		return err
	}
	return t.receipt(receipt, e.receipt)
}

func (t *terminal) erase(ctx context.Context, s store.Store, keys *sealing, e *erasing, tenant string) error {
	erasureKeys, err := keys.erasureKeys()
	if err != nil {
		return err
	}
	done := t.step("erasing")
	receipt, err := (&vault.Erasing{From: s, ErasureKeys: erasureKeys}).Tenant(ctx, tenant, "command line")
	done()
	if err != nil {
		return err
	}
	if e.deleteKeys {
		if receipt, err = keys.deleteOldKeys(ctx, s, receipt); err != nil {
			return errors.Join(err, t.receipt(receipt, e.receipt))
		}
	}
	if err := s.Audit(ctx, auditOf("tenant.erased", tenant, "receipt "+receipt.SHA256)); err != nil {
		return err
	}
	return t.receipt(receipt, e.receipt)
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
	erasureKeys, err := k.erasureKeys()
	if err != nil {
		return receipt, err
	}
	if _, err := (&vault.Rotation{Store: s, Master: keyset, ErasureKeys: erasureKeys, Actor: "command line"}).Run(ctx); err != nil {
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
	ui                        *terminal
	database, keyset, erasure string
}

func (k *sealing) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&k.database, "database", "", "sqlite:PATH or postgres://… (SALLYPORT_DATABASE; default sqlite:sallyport.db)")
	cmd.PersistentFlags().StringVar(&k.keyset, "keyset", "", "file:PATH, env:NAME, vault-transit:MOUNT/KEY or aws-kms:ARN (SALLYPORT_KEYSET; default a file beside the database)")
	cmd.PersistentFlags().StringVar(&k.erasure, "erasure-keys", "", "folder of erasure keys (SALLYPORT_ERASURE_KEYS; default none)")
}

// erasureKeys opens the erasure keys; nil when there are none.
func (k *sealing) erasureKeys() (*vault.ErasureKeys, error) {
	folder := k.erasure
	if folder == "" {
		folder = k.ui.getenv("SALLYPORT_ERASURE_KEYS")
	}
	if folder == "" {
		return nil, nil //nolint:nilnil // none is the usual case
	}
	return vault.OpenErasureKeys(folder)
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
