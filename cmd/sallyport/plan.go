package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/document"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

type planOptions struct {
	need, spec, profile, out string
	endpoints, events        []string
	yes                      bool
}

func newPlan(ui *terminal) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use: "plan SERVICE --need TEXT", Short: "Write a plan from a sentence and the provider's API document", GroupID: "think", Args: cobra.ExactArgs(1),
		Long: `Write a plan from a sentence and the provider's API document.

Writes DIR/SERVICE.yaml and DIR/SERVICE.md. When the plan is there already, what stands in it stays: only what is new is added.
At a terminal it shows what it would write and asks; --yes does not ask.`,
		Example: `  sallyport plan stripe --need "Charge customers for monthly invoices and keep invoice status in step"
  sallyport plan crm --profile github --spec api.github.com.json --need "Open an issue for each support case"
  sallyport plan stripe --need "Refund a payment" --endpoint "POST /v1/refunds" --event charge.refunded`,
		ValidArgsFunction: completeProviders,
		RunE: func(_ *cobra.Command, args []string) error {
			return runPlan(ui, args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.need, "need", "", "the requirement, in a sentence")
	f.StringVar(&o.spec, "spec", "", "the provider's OpenAPI document, plain or gzipped; the one in the binary when empty")
	f.StringVar(&o.profile, "profile", "", "catalog profile to stand on; SERVICE when empty")
	f.StringArrayVar(&o.endpoints, "endpoint", nil, `operation to use whatever the ranking says: its id or "POST /v1/refunds"; may be repeated`)
	f.StringArrayVar(&o.events, "event", nil, "webhook event type to use; may be repeated")
	f.StringVar(&o.out, "out", "integrations", "folder to write to")
	f.BoolVarP(&o.yes, "yes", "y", false, "write without asking")
	if err := cmd.MarkFlagFilename("spec"); err != nil {
		panic(err)
	}
	if err := cmd.MarkFlagDirname("out"); err != nil {
		panic(err)
	}
	return cmd
}

func runPlan(ui *terminal, service string, o planOptions) error {
	start := time.Now()
	if o.need == "" && ui.asks {
		need, err := ui.ask("What should it do, in a sentence?")
		if err != nil {
			return err
		}
		o.need = need
	}
	file := filepath.Join(o.out, service+".yaml")
	existing, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if o.need == "" {
		return errors.New("--need is missing: say in a sentence what the integration should do")
	}
	input, err := draftInput(ui, service, o)
	if err != nil {
		return err
	}
	fresh, report, err := draft.Write(input)
	if err != nil {
		return err
	}
	yaml, changes, err := planFile(existing, fresh)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	written, err := plan.Parse(file, yaml, catalog.Load)
	if err != nil {
		return err
	}
	markdown, err := document.Markdown(written, input.Document)
	if err != nil {
		return err
	}
	ui.showDraft(written, report, changes)
	if ui.asks && !o.yes && !bytes.Equal(yaml, existing) {
		ok, err := ui.confirm("Write " + file + "?")
		if err != nil || !ok {
			return &exitError{code: 1, err: errors.Join(err, errors.New("nothing was written"))}
		}
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if err := replaceFile(file, yaml); err != nil {
		return err
	}
	companion := filepath.Join(o.out, service+".md")
	if err := replaceFile(companion, markdown); err != nil {
		return err
	}
	ui.say("%s %s and %s in %s", styleGood.Render("wrote"), file, companion, time.Since(start).Round(10*time.Millisecond))
	ui.say("next: sallyport review %s", file)
	return nil
}

// planFile is the text of the plan: new, or the existing text with what is new
// added to it.
func planFile(existing []byte, fresh *plan.Plan) ([]byte, *draft.Changes, error) {
	if len(existing) == 0 {
		b, err := plan.Marshal(fresh)
		return b, nil, err
	}
	return draft.Merge(existing, fresh)
}

func draftInput(ui *terminal, service string, o planOptions) (draft.Input, error) {
	id := o.profile
	if id == "" {
		id = service
	}
	profile, err := catalog.Load(id)
	if err != nil {
		return draft.Input{}, err
	}
	spec, pinned := o.spec, ""
	switch {
	case spec != "":
		if pinned, err = relativeTo(o.out, spec); err != nil {
			return draft.Input{}, err
		}
	case profile.Document.Embedded != "":
		spec = plan.EmbeddedSpec + profile.Document.Embedded
		pinned = spec
	default:
		return draft.Input{}, fmt.Errorf("%s: the binary carries no API document of this provider; give one with --spec FILE (%s)",
			profile.Name, documentHint(profile))
	}
	done := ui.step("reading " + filepath.Base(spec))
	data, err := plan.ReadSpec(spec)
	if err != nil {
		return draft.Input{}, err
	}
	doc, err := openapi.Read(data)
	if err != nil {
		return draft.Input{}, fmt.Errorf("%s: %w", spec, err)
	}
	done()
	return draft.Input{
		Service: service, Need: o.need, Profile: profile, Document: doc,
		SpecFile: pinned, SpecSHA256: doc.SHA256, Endpoints: o.endpoints, Events: o.events, Now: time.Now(),
	}, nil
}

func documentHint(p *catalog.Profile) string {
	if p.Document.Repository == "" {
		return "none is known to the catalog"
	}
	return strings.TrimSuffix("it is kept in "+p.Document.Repository+" "+p.Document.Path, " ")
}

// relativeTo is how a plan in folder names a file.
func relativeTo(folder, file string) (string, error) {
	from, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(from, to)
	if err != nil {
		return to, nil //nolint:nilerr // another volume: the absolute name is right
	}
	return filepath.ToSlash(rel), nil
}
