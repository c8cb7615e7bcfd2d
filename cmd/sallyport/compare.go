package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/catalog/compare"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

func newCatalogCompare(ui *terminal, o *catalogOptions) *cobra.Command {
	var spec string
	cmd := &cobra.Command{
		Use: "compare PROVIDER", Short: "Lay a provider's API document beside its profile, fact by fact",
		Long: "Lay a provider's API document beside its profile, fact by fact: imported where the document says the same\n" +
			"or the profile says nothing, missing where only the profile knows, contradicts where they differ. Defects of\n" +
			"the document are listed too. Without --spec the document that comes along is taken.\n\n" +
			"It exits with 1 when something contradicts.",
		Args:              cobra.ExactArgs(1),
		Example:           "  sallyport catalog compare stripe\n  sallyport catalog compare digitalocean --spec specification.tar.gz --output json",
		ValidArgsFunction: completeProviders,
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := catalog.Beside(o.own(), catalog.Load)(args[0])
			if err != nil {
				return err
			}
			if spec == "" {
				if p.Document.Embedded == "" {
					return fmt.Errorf("no document of %s comes along; name one with --spec FILE", p.Name)
				}
				spec = plan.EmbeddedSpec + p.Document.Embedded
			}
			doc, err := readSpec(spec)
			if err != nil {
				return err
			}
			facts := compare.Facts(p, doc)
			if o.output == "json" {
				err = ui.json(map[string]any{"provider": p.ID, "document": spec, "format": doc.Format, "version": doc.Version, "sha256": doc.SHA256, "facts": facts, "defects": doc.Defects})
			} else {
				ui.comparison(doc, facts)
			}
			if err == nil && compare.Count(facts)[compare.Contradicts] > 0 {
				err = &exitError{code: 1}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&spec, "spec", "", "the provider's API document: a file, or an archive of several")
	outputFlag(cmd, o, "table", "json")
	return cmd
}

// comparison prints what contradicts first, then what is missing.
func (t *terminal) comparison(doc *openapi.Document, facts []compare.Fact) {
	t.print("%s  %s %s, %d operations, %d event types, %d defects", styleBold.Render(doc.Title), doc.Format, doc.Version, len(doc.Operations), len(doc.EventTypes), len(doc.Defects))
	var rows [][]string
	for _, v := range []compare.Verdict{compare.Contradicts, compare.Missing, compare.Imported} {
		for _, f := range facts {
			if f.Verdict == v {
				rows = append(rows, []string{string(v), f.Section + " " + f.Name, cut(dash(f.Profile)), cut(dash(f.Document)), f.Note})
			}
		}
	}
	t.table([]string{"verdict", "fact", "profile", "document", "note"}, rows)
	for i, d := range doc.Defects {
		if i == 20 {
			t.print("… and %d more defects; --output json lists all", len(doc.Defects)-i)
			break
		}
		t.print("%s %s: %s", d.Where, d.Rule, d.Message)
	}
	n := compare.Count(facts)
	t.print("\n%d imported, %d missing, %d contradict.", n[compare.Imported], n[compare.Missing], n[compare.Contradicts])
}

// cut keeps a cell of a table readable.
func cut(s string) string {
	if r := []rune(s); len(r) > 60 {
		return strings.TrimSpace(string(r[:59])) + "…"
	}
	return s
}

// readSpec reads a provider's document from a path as plan.Plan.SpecPath gives
// it, with the files beside it that it refers to.
func readSpec(path string) (*openapi.Document, error) {
	name, embedded := strings.CutPrefix(path, plan.EmbeddedSpec)
	if !embedded {
		doc, err := openapi.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return doc, nil
	}
	data, err := catalog.ReadDocument(name)
	if err != nil {
		return nil, err
	}
	return openapi.Read(data)
}
