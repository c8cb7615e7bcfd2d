package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store"
	"github.com/sallyport/sallyport/vault"
)

func newSecretsLeaked(ui *terminal, keys *sealing, plans *planned) *cobra.Command {
	g := gateway{ui: ui}
	var l leaking
	cmd := &cobra.Command{
		Use: "leaked [FINGERPRINT | SERVICE NAME]", Short: "Act on a secret that leaked: refuse, replace, revoke, report", Args: cobra.MaximumNArgs(2),
		Long: `Act on a secret that leaked, over the gateway, and say what is left to do.

SERVICE NAME is a plan's secret. Its value is marked: no gateway on the database uses it any more, and calls that have no other fail and say
so. A new value on standard input is put in place first, where the secret is in a file or a HashiCorp Vault. --connection is a customer's
connection: it is ended and revoked at the provider, and its key is not taken again. Both say for what and by whom the secret was used, since
when, and which environments and connections share it. --unmark takes a mark off again, by its fingerprint.

The exit code is 1 while something is left for a person to do. When the secret is revoked at the provider, say so with --revoked.` + gatewayHelp + `

With a FINGERPRINT alone, or with nothing but the value on standard input, nothing is changed: where the secret is used is read from the
database, also without a gateway. The value is neither kept nor shown.`,
		Example: `  sallyport secrets leaked stripe api_key --environment production < new-key
  sallyport secrets leaked --connection 01996f6e-7c1a-7b1e-9d52-6f2f0d7c1a11
  sallyport secrets leaked 5d41402a`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case l.connection != "" && len(args) == 0:
				return g.leaked(cmd.Context(), map[string]any{"connection": l.connection})
			case l.unmark != "" && len(args) == 0:
				return g.unmark(cmd.Context(), l.unmark)
			case l.connection != "" || l.unmark != "":
				return errors.New("--connection and --unmark stand alone")
			case len(args) == 2:
				return g.leakedOfPlan(cmd.Context(), &l, plans, args[0], args[1])
			}
			fingerprint, err := ui.fingerprint(args)
			if err != nil {
				return err
			}
			return keys.with(cmd.Context(), func(s store.Store) error { return ui.leaked(cmd.Context(), s, fingerprint, g.output) })
		},
	}
	plans.flags(cmd)
	g.flags(cmd)
	cmd.Flags().StringVar(&l.connection, "connection", "", "id of a customer's connection whose credentials leaked")
	cmd.Flags().StringVar(&l.fingerprint, "fingerprint", "", "which value of the plan's secret; default the one in use")
	cmd.Flags().StringVar(&l.unmark, "unmark", "", "fingerprint of a secret that did not leak after all")
	cmd.Flags().BoolVar(&l.revoked, "revoked", false, "you have revoked it at the provider")
	return cmd
}

// leaking is what is known of a leak from the command line.
type leaking struct {
	connection, fingerprint, unmark string
	revoked                         bool
}

// fingerprint is the argument, or that of a value on standard input.
func (t *terminal) fingerprint(args []string) (string, error) {
	if len(args) == 0 {
		secret, err := t.newSecret("the leaked secret")
		return secret.Fingerprint(), err
	}
	return args[0], checkFingerprint(args[0])
}

func checkFingerprint(s string) error {
	if b, err := hex.DecodeString(s); err != nil || len(b) != 4 {
		return errors.New("the fingerprint (not shown) is not eight hex digits; give a value on standard input, never as an argument")
	}
	return nil
}

// leakedOfPlan replaces a plan's secret where it can, and has the gateway refuse
// the leaked value.
func (g *gateway) leakedOfPlan(ctx context.Context, l *leaking, plans *planned, service, name string) error {
	if l.fingerprint != "" {
		if err := checkFingerprint(l.fingerprint); err != nil {
			return err
		}
	}
	fresh, err := g.ui.maybeSecret("new value of " + service + " " + name)
	if err != nil {
		return err
	}
	if !fresh.IsZero() {
		if err := g.replaceLeaked(ctx, l, plans, service, name, fresh); err != nil {
			return err
		}
	}
	in := map[string]any{"service": service, "name": name, "revoked": l.revoked}
	if l.fingerprint != "" {
		in["fingerprint"] = l.fingerprint
	}
	return g.leaked(ctx, in)
}

// replaceLeaked puts the new value in place. The fingerprint of the old one is
// taken before: afterwards the new one would be taken for it.
func (g *gateway) replaceLeaked(ctx context.Context, l *leaking, plans *planned, service, name string, fresh integration.Secret) error {
	references, err := plans.references(service, name)
	if err != nil {
		return err
	}
	resolver := g.ui.resolver()
	if l.fingerprint == "" {
		old, err := resolver.All(ctx, references[0])
		if err != nil {
			return fmt.Errorf("which value leaked can't be told; name it with --fingerprint: %w", err)
		}
		l.fingerprint = old[0].Fingerprint()
	}
	if fresh.Fingerprint() == l.fingerprint {
		return errors.New("the new value is the leaked one; nothing was done")
	}
	err = resolver.Put(ctx, references[0], fresh)
	if errors.Is(err, vault.ErrElsewhere) {
		return fmt.Errorf("the new value was not put in place, and nothing was marked: %s. Then run this without a value on standard input", elsewhere(name, references))
	}
	if err != nil {
		return err
	}
	g.ui.say("%s of %s is now %s, in %s", name, service, fresh.Fingerprint(), references[0])
	return nil
}

// leaked has the gateway act, and shows what it says.
func (g *gateway) leaked(ctx context.Context, in map[string]any) error {
	var v api.LeakView
	if err := g.do(ctx, http.MethodPost, "/api/v1/admin/secrets/leaked", nil, in, &v); err != nil {
		return err
	}
	if err := g.show(v, func() { g.ui.showMarked(&v) }); err != nil {
		return err
	}
	if len(v.Steps) > 0 {
		return &exitError{code: 1}
	}
	return nil
}

func (g *gateway) unmark(ctx context.Context, fingerprint string) error {
	if err := checkFingerprint(fingerprint); err != nil {
		return err
	}
	if err := g.do(ctx, http.MethodDelete, "/api/v1/admin/secrets/leaked/"+fingerprint, nil, nil, nil); err != nil {
		return err
	}
	g.ui.say("%s is used again, within ten seconds everywhere", fingerprint)
	return nil
}

func (t *terminal) showMarked(v *api.LeakView) {
	if r := v.Revocation; r != nil {
		t.print("connection %s was ended: %s", r.Connection, clean(r.Reason))
	} else {
		t.print("%s is marked as leaked; no gateway uses it within ten seconds", strings.Join(v.Fingerprints, ", "))
	}
	rows := make([][]string, len(v.Seen))
	for i, p := range v.Seen {
		rows[i] = []string{p.Service, p.Environment, p.Name, p.Reference, ago(p.FirstSeen), ago(p.LastSeen)}
	}
	if len(rows) > 0 {
		t.table([]string{"service", "environment", "secret", "reference", "seen first", "seen last"}, rows)
	}
	rows = nil
	for _, c := range v.Connections {
		rows = append(rows, []string{c.ID, clean(c.Tenant), c.Service, c.State})
	}
	if len(rows) > 0 {
		t.table([]string{"connection", "tenant", "service", "state"}, rows)
	}
	t.showUses(v)
	for i, step := range v.Steps {
		t.print("%d. %s", i+1, clean(step))
	}
	if len(v.Steps) == 0 {
		t.print("nothing is left to do")
	}
}

func (t *terminal) showUses(v *api.LeakView) {
	if v.First == nil || v.Last == nil {
		t.print("no use of it is on record")
		return
	}
	t.print("used %d times from %s to %s; compare with the provider's own log", v.Count, v.First.Format(time.RFC3339), v.Last.Format(time.RFC3339))
	type who struct{ tenant, endpoint, actor string }
	counts := map[who]int{}
	for i := range v.Uses {
		u := &v.Uses[i]
		counts[who{u.Tenant, u.Endpoint, u.Actor}] += u.Count
	}
	rows := make([][]string, 0, len(counts))
	for w, n := range counts {
		rows = append(rows, []string{clean(w.tenant), w.endpoint, w.actor, strconv.Itoa(n)})
	}
	slices.SortFunc(rows, slices.Compare)
	t.table([]string{"tenant", "endpoint", "by", "requests"}, rows)
}

// leak is what is known of one secret.
type leak struct {
	Fingerprint string                       `json:"fingerprint"`
	Plans       []integration.SecretSighting `json:"plans"`
	Connections []integration.Connection     `json:"connections"`
	Uses        []integration.CredentialUse  `json:"uses"`
	Steps       []string                     `json:"steps"`
}

// leakMost bounds the lists of a report.
const leakMost = 500

func (t *terminal) leaked(ctx context.Context, s store.Store, fingerprint, output string) error {
	l := leak{Fingerprint: fingerprint}
	var err error
	if l.Plans, err = s.SightingsOf(ctx, fingerprint); err != nil {
		return err
	}
	ids, err := s.ConnectionsWith(ctx, fingerprint, leakMost)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c, _, err := s.Connection(ctx, id)
		if err != nil {
			return err
		}
		l.Connections = append(l.Connections, c)
	}
	if l.Uses, _, err = s.CredentialUses(ctx, integration.Filter{Status: fingerprint, Limit: leakMost}); err != nil {
		return err
	}
	l.Steps = l.steps()
	switch output {
	case "json":
		return t.json(l)
	case "table":
		t.showLeak(&l)
		return nil
	}
	return fmt.Errorf("--output: %q is not one of table, json", output)
}

// steps is the runbook.
func (l *leak) steps() []string {
	var list []string
	for _, p := range l.Plans {
		list = append(list,
			fmt.Sprintf("make a new %s for %s (%s) at the provider", p.Name, p.Service, p.Environment),
			fmt.Sprintf("put it in place and refuse the leaked one: sallyport secrets leaked %s %s --environment %s --fingerprint %s < new", p.Service, p.Name, p.Environment, l.Fingerprint),
			fmt.Sprintf("revoke the leaked one at the provider of %s, and take it out of %s if it is still named there", p.Service, p.Reference))
	}
	for i := range l.Connections {
		c := &l.Connections[i]
		list = append(list, fmt.Sprintf("end the connection of %s at %s, which revokes it: sallyport secrets leaked --connection %s; then have the customer connect again", c.Tenant, c.Service, c.ID))
	}
	if len(list) == 0 {
		return []string{"nothing here uses this secret; revoke it where it came from"}
	}
	return append(list, "look at the calls since it leaked: sallyport calls SERVICE --since 24h; compare them with the provider's own log")
}

func (t *terminal) showLeak(l *leak) {
	t.print("%s", styleBold.Render("secret "+l.Fingerprint))
	rows := make([][]string, len(l.Plans))
	for i, p := range l.Plans {
		rows[i] = []string{p.Service, p.Environment, p.Name, p.Reference, ago(p.FirstSeen)}
	}
	if len(rows) > 0 {
		t.table([]string{"service", "environment", "secret", "reference", "seen first"}, rows)
	}
	rows = nil
	for i := range l.Connections {
		c := &l.Connections[i]
		rows = append(rows, []string{c.ID, c.Tenant, c.Service, c.Environment, string(c.State)})
	}
	if len(rows) > 0 {
		t.table([]string{"connection", "tenant", "service", "environment", "state"}, rows)
	}
	if len(l.Uses) > 0 {
		var actors []string
		count := 0
		first, last := l.Uses[0].Minute, l.Uses[0].Minute
		for _, u := range l.Uses {
			count += u.Count
			actors = append(actors, u.Actor)
			if u.Minute.Before(first) {
				first = u.Minute
			}
			if u.Minute.After(last) {
				last = u.Minute
			}
		}
		slices.Sort(actors)
		t.print("used %d times from %s to %s, by %s", count, first.Format(time.RFC3339), last.Format(time.RFC3339), strings.Join(slices.Compact(actors), ", "))
	}
	for i, step := range l.Steps {
		t.print("%d. %s", i+1, step)
	}
}
