package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/catalog/start"
)

// catalogOptions are the flags that the commands below catalog share.
type catalogOptions struct {
	plans  string // folder of the plans; profiles of one's own stand in catalog beside them
	output string // table, json, yaml
}

func (o *catalogOptions) own() string { return filepath.Join(o.plans, catalog.OwnFolder) }

func newCatalog(ui *terminal) *cobra.Command {
	var o catalogOptions
	cmd := &cobra.Command{
		Use: "catalog", Short: "Show what is known about providers", GroupID: "look",
		Long: "Show what is known about providers, each fact with its source and how sure we are of it.\n\n" +
			"Profiles of your own stand in the folder catalog beside your plans: integrations/catalog/acme.yaml\n" +
			"adds a provider, integrations/catalog/stripe.yaml stands in place of the one that comes along.",
		Example: "  sallyport catalog list --category payments\n  sallyport catalog show stripe\n  sallyport catalog search \"bank accounts\"\n  sallyport catalog new --spec acme.yaml",
	}
	cmd.PersistentFlags().StringVar(&o.plans, "plans", "integrations", "folder of your plans")
	cmd.AddCommand(newCatalogList(ui, &o), newCatalogShow(ui, &o), newCatalogSearch(ui, &o), newCatalogCompare(ui, &o), newCatalogNew(ui, &o))
	return cmd
}

func newCatalogList(ui *terminal, o *catalogOptions) *cobra.Command {
	var category string
	cmd := &cobra.Command{
		Use: "list", Short: "List the providers", Args: cobra.NoArgs,
		Example: "  sallyport catalog list\n  sallyport catalog list --category payments --output json",
		RunE: func(*cobra.Command, []string) error {
			list, err := o.index(ui)
			if err != nil {
				return err
			}
			if category != "" {
				known := map[string]bool{}
				list = slices.DeleteFunc(list, func(s catalog.Summary) bool { known[s.Category] = true; return s.Category != category })
				if len(list) == 0 {
					return fmt.Errorf("no provider is of the category %q; there are %s", category, strings.Join(sortedNames(known), ", "))
				}
			}
			return ui.providers(list, o.output)
		},
	}
	cmd.Flags().StringVar(&category, "category", "", "only providers of this category")
	outputFlag(cmd, o, "table", "json")
	return cmd
}

func newCatalogSearch(ui *terminal, o *catalogOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "search TEXT", Short: "Find providers by name, category or what they are for", Args: cobra.MinimumNArgs(1),
		Example: "  sallyport catalog search strpie\n  sallyport catalog search bank accounts",
		RunE: func(_ *cobra.Command, args []string) error {
			list, err := o.index(ui)
			if err != nil {
				return err
			}
			text := strings.Join(args, " ")
			var found []catalog.Summary
			for _, hit := range catalog.SearchAmong(list, text) {
				found = append(found, hit.Summary)
			}
			if len(found) == 0 && o.output == "table" {
				return &exitError{code: 1, err: fmt.Errorf("nothing is like %q; start a profile of your own: sallyport catalog new --spec FILE", text)}
			}
			return ui.providers(found, o.output)
		},
	}
	outputFlag(cmd, o, "table", "json")
	return cmd
}

func newCatalogShow(ui *terminal, o *catalogOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show PROVIDER", Short: "Print a provider's profile, each fact with source and confidence",
		Args:              cobra.ExactArgs(1),
		Example:           "  sallyport catalog show stripe\n  sallyport catalog show stripe --output yaml > integrations/catalog/stripe.yaml",
		ValidArgsFunction: completeProviders,
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := catalog.Beside(o.own(), catalog.Load)(args[0])
			if err != nil {
				return err
			}
			switch o.output {
			case "json":
				return ui.json(p)
			case "yaml":
				text, err := catalog.Marshal(p)
				if err != nil {
					return err
				}
				_, err = ui.out.Write(text)
				return err
			}
			ui.profile(p)
			return nil
		},
	}
	outputFlag(cmd, o, "table", "json", "yaml")
	return cmd
}

func newCatalogNew(ui *terminal, o *catalogOptions) *cobra.Command {
	var spec, id string
	cmd := &cobra.Command{
		Use: "new --spec FILE", Short: "Start a profile of your own from an API document", Args: cobra.NoArgs,
		Example: "  sallyport catalog new --spec acme.yaml\n  sallyport catalog new --spec acme.json.gz --id acme --plans integrations",
		RunE: func(*cobra.Command, []string) error {
			data, err := os.ReadFile(spec)
			if err != nil {
				return err
			}
			begun, err := start.From(id, spec, data)
			if err != nil {
				return err
			}
			text, err := catalog.Marshal(begun.Profile)
			if err != nil {
				return err
			}
			file := filepath.Join(o.own(), begun.Profile.ID+".yaml")
			if err := os.MkdirAll(o.own(), 0o755); err != nil {
				return err
			}
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s is there already; give another --id, or remove it first", file)
			}
			if err != nil {
				return err
			}
			_, err = f.WriteString(openPoints(begun.Open) + string(text))
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			ui.say("%s %s; what the document does not say:", styleGood.Render("wrote"), file)
			for _, point := range begun.Open {
				ui.say("  - %s", point)
			}
			ui.say("next: sallyport plan %s --need TEXT --spec %s --out %s", begun.Profile.ID, spec, o.plans)
			return nil
		},
	}
	cmd.Flags().StringVar(&spec, "spec", "", "the provider's API document")
	cmd.Flags().StringVar(&id, "id", "", "id of the profile (default: made of the document's title)")
	_ = cmd.MarkFlagRequired("spec")
	return cmd
}

// openPoints stand at the top of a profile that was started, as comments.
func openPoints(open []string) string {
	var b strings.Builder
	b.WriteString("# Started from an API document. To be settled by a person:\n")
	for _, point := range open {
		b.WriteString("# - " + strings.Join(strings.Fields(point), " ") + "\n")
	}
	return b.String()
}

func outputFlag(cmd *cobra.Command, o *catalogOptions, forms ...string) {
	cmd.Flags().StringVar(&o.output, "output", forms[0], "form of the output: "+strings.Join(forms, ", "))
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(forms, o.output) {
			return fmt.Errorf("--output %s: want one of %s", o.output, strings.Join(forms, ", "))
		}
		return nil
	}
}

// index is the embedded index with one's own profiles in it. A faulty one is
// told of and left out.
func (o *catalogOptions) index(ui *terminal) ([]catalog.Summary, error) {
	list := catalog.Index()
	own, err := catalog.Own(o.own())
	if err != nil {
		ui.fail(err)
	}
	for _, p := range own {
		list = slices.DeleteFunc(list, func(s catalog.Summary) bool { return s.ID == p.ID })
		list = append(list, catalog.Of(p))
	}
	slices.SortFunc(list, func(a, b catalog.Summary) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

func (t *terminal) providers(list []catalog.Summary, output string) error {
	if output == "json" {
		if list == nil {
			list = []catalog.Summary{}
		}
		return t.json(list)
	}
	rows := make([][]string, 0, len(list))
	for _, s := range list {
		rows = append(rows, []string{s.ID, s.Name, s.Category, strings.Join(s.Auth, ", "), dash(s.Webhooks), s.Text})
	}
	t.table([]string{"provider", "name", "category", "credentials", "webhooks", "for"}, rows)
	return nil
}

// profile prints the facts in a table; a mark says which are only remembered.
func (t *terminal) profile(p *catalog.Profile) {
	t.print("%s  %s", styleBold.Render(p.Name), p.Text)
	t.print("%s, %s", p.Category, p.Docs)
	facts := catalog.Facts(p)
	recalled := 0
	for _, s := range p.Sections() {
		if s.Empty() {
			continue
		}
		t.print("\n%s  %s  %s", styleBold.Render(s.Path), s.Provenance.Confidence, styleDim.Render(strings.Join(s.Provenance.Source, "  ")))
		for _, f := range facts {
			if f.Section != s.Path {
				continue
			}
			mark := " "
			if f.Confidence == catalog.Recalled {
				mark, recalled = "?", recalled+1
			}
			t.print("%s %-28s %s", mark, f.Name, f.Value)
		}
		if s.Provenance.Note != "" {
			t.print("  %s", styleDim.Render(s.Provenance.Note))
		}
	}
	t.print("\n%d of %d facts are only remembered and marked ?; confirm those that you use, in profile.confirmed of your plan.", recalled, len(facts))
}

func (t *terminal) json(v any) error {
	e := json.NewEncoder(t.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func sortedNames(set map[string]bool) []string {
	var list []string
	for name := range set {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func completeProviders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	for _, s := range catalog.Index() {
		ids = append(ids, s.ID+"\t"+s.Name)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func completePlans(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}
