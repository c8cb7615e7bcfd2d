package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/document"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

func newDocument(ui *terminal) *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use: "document PLAN", Short: "Turn a plan into a document people review", GroupID: "think", Args: cobra.ExactArgs(1),
		Long: "Turn a plan into a document people review: Markdown, or one HTML file that works offline and prints.",
		Example: `  sallyport document integrations/stripe.yaml
  sallyport document integrations/stripe.yaml --format html -o stripe.html`,
		ValidArgsFunction: completePlans,
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := plan.Load(args[0], catalog.Load)
			if err != nil {
				return err
			}
			doc, err := documentOf(ui, p)
			if err != nil {
				ui.say("%s %v; the document is made without it", styleDim.Render("note:"), err)
			}
			b, err := renderDocument(p, doc, format)
			if err != nil {
				return err
			}
			return ui.write(out, b)
		},
	}
	cmd.Flags().StringVar(&format, "format", "md", "md or html")
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write; standard output when empty")
	fixedCompletion(cmd, "format", "md", "html")
	return cmd
}

func renderDocument(p *plan.Plan, doc *openapi.Document, format string) ([]byte, error) {
	switch format {
	case "md":
		return document.Markdown(p, doc)
	case "html":
		return document.HTML(p, doc)
	}
	return nil, fmt.Errorf("--format: %q is not one of md, html", format)
}

// documentOf reads the provider's document that a plan pins. It is nil when
// the plan pins none.
func documentOf(ui *terminal, p *plan.Plan) (*openapi.Document, error) {
	if p.Profile.Spec == nil {
		return nil, nil
	}
	file := p.SpecPath()
	defer ui.step("reading " + filepath.Base(file))()
	doc, err := readSpec(file)
	if err != nil {
		return nil, err
	}
	if !p.Profile.Spec.Matches(doc.SHA256) {
		return doc, fmt.Errorf("%s: its SHA-256 is %s…, the plan pins %s…; plan again, or pin the new one", file, short(doc.SHA256), short(p.Profile.Spec.SHA256))
	}
	return doc, nil
}

func short(hash string) string { return hash[:min(12, len(hash))] }

// write puts a result into a file, or prints it when file is empty or "-".
func (t *terminal) write(file string, b []byte) error {
	if file == "" || file == "-" {
		_, err := t.rawOut.Write(b)
		return err
	}
	if err := replaceFile(file, b); err != nil {
		return err
	}
	t.say("wrote %s", file)
	return nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(file string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	if _, err := tmp.Write(b); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Chmod(0o644); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

func fixedCompletion(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // a flag that does not exist: a mistake of ours, seen at once
	}
}
