package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/diff"
	"github.com/sallyport/sallyport/plan"
)

func newDiff(ui *terminal) *cobra.Command {
	var spec, format, out string
	cmd := &cobra.Command{
		Use: "diff PLAN --spec NEWFILE", Short: "See what a new version of the provider's document breaks", GroupID: "think", Args: cobra.ExactArgs(1),
		Long: `Compare the document a plan was made from with a newer one, through the plan:
only what breaks or changes one of its rows is told, with an example that
fails; everything else is counted.

Exit status: 0 when no row breaks, 1 when one does, 2 when something can't be read.`,
		Example: `  sallyport diff integrations/stripe.yaml --spec spec3.new.json
  sallyport diff integrations/stripe.yaml --spec spec3.new.json.gz --format md -o changes.md`,
		ValidArgsFunction: completePlans,
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := plan.Load(args[0], catalog.Load)
			if err != nil {
				return err
			}
			report, err := compareDocuments(ui, p, spec)
			if err != nil {
				return err
			}
			var b bytes.Buffer
			if err := writeDiff(&b, report, format, ui.color() && out == ""); err != nil {
				return err
			}
			if err := ui.write(out, b.Bytes()); err != nil {
				return err
			}
			if report.Broken() {
				return &exitError{code: 1}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&spec, "spec", "", "the newer document: a file, or embedded:NAME")
	cmd.Flags().StringVar(&format, "format", "text", "text, md or json")
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write; standard output when empty")
	fixedCompletion(cmd, "format", "text", "md", "json")
	if err := cmd.MarkFlagRequired("spec"); err != nil {
		panic(err) // the flag is defined three lines above
	}
	return cmd
}

// compareDocuments reads the plan's document and the newer one.
func compareDocuments(ui *terminal, p *plan.Plan, spec string) (*diff.Report, error) {
	if p.Profile.Spec == nil {
		return nil, fmt.Errorf("%s: it does not say which document it was made from; write profile.spec.file", p.File)
	}
	before, err := documentOf(ui, p)
	if before == nil {
		return nil, err
	}
	if err != nil { // another version of it than the plan pins
		return nil, errors.Join(err, errors.New("the comparison needs the document the plan was made from: pin its hash, or point profile.spec.file at it"))
	}
	done := ui.step("reading " + filepath.Base(spec))
	after, err := readSpec(spec)
	done()
	if err != nil {
		return nil, err
	}
	return diff.Compare(p, before, after)
}

func writeDiff(b *bytes.Buffer, r *diff.Report, format string, color bool) error {
	switch format {
	case "text":
		var paint func(diff.Level, string) string
		if color {
			paint = func(l diff.Level, s string) string { return levelStyles[l].Render(s) }
		}
		return r.WriteText(b, paint)
	case "md":
		return r.WriteMarkdown(b)
	case "json":
		return r.WriteJSON(b)
	}
	return fmt.Errorf("--format: %q is not one of text, md, json", format)
}

var levelStyles = map[diff.Level]lipgloss.Style{
	diff.Breaks:  styleBad,
	diff.Changes: lipgloss.NewStyle().Foreground(lipgloss.Color("3")),
}
