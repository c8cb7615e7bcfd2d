package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store"
)

func newSecretsLeaked(ui *terminal, keys *sealing) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "leaked [FINGERPRINT]", Short: "Say where a leaked secret is used and what to do, step by step", Args: cobra.MaximumNArgs(1),
		Long: `Say where a secret that leaked is used: by which plans and customers' connections, for what, by whom and since when. Then say what to do,
in order. Nothing is changed. Give its fingerprint, or the value itself on standard input: it is neither kept nor shown.`,
		Example: "  sallyport secrets leaked 5d41402a\n  sallyport secrets leaked < leaked-token",
		RunE: func(cmd *cobra.Command, args []string) error {
			var fingerprint string
			if len(args) == 1 {
				fingerprint = args[0]
				if b, err := hex.DecodeString(fingerprint); err != nil || len(b) != 4 {
					return fmt.Errorf("the fingerprint (not shown) is not eight hex digits; give a value on standard input, never as an argument")
				}
			} else {
				secret, err := ui.newSecret("the leaked secret")
				if err != nil {
					return err
				}
				fingerprint = secret.Fingerprint()
			}
			return keys.with(cmd.Context(), func(s store.Store) error { return ui.leaked(cmd.Context(), s, fingerprint, output) })
		},
	}
	cmd.Flags().StringVar(&output, "output", "table", "table or json")
	fixedCompletion(cmd, "output", "table", "json")
	return cmd
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
			fmt.Sprintf("put it in place: sallyport secrets replace %s %s --environment %s", p.Service, p.Name, p.Environment),
			fmt.Sprintf("revoke the leaked one at the provider of %s, and take it out of %s if it is still named there", p.Service, p.Reference))
	}
	for i := range l.Connections {
		c := &l.Connections[i]
		list = append(list, fmt.Sprintf("disconnect %s of %s, which revokes it: POST /api/v1/integrations/%s/disconnect {\"connection\": %q}; then have the customer connect again", c.ID, c.Tenant, c.Service, c.ID))
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
