package main

import (
	"bytes"
	"context"
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
	"github.com/sallyport/sallyport/plan"
)

type planOptions struct {
	need, needFile, spec, profile, out string
	endpoints, events                  []string
	effects, destinations              map[string]string
	environments                       []string
	tenant, owner, decision            string
	yes                                bool
}

func newPlan(ui *terminal) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use: "plan SERVICE --need TEXT", Short: "Write a plan from a sentence and the provider's API document", GroupID: "think", Args: cobra.ExactArgs(1),
		Long: `Write a plan from a sentence and the provider's API document.

Writes DIR/SERVICE.yaml and DIR/SERVICE.md. When the plan is there already, what stands in it stays: only what is new is added.
At a terminal it asks what it can't know, with a default for each question, and shows what it would write before it does. Each
answer has a flag. With --yes, or without a terminal, defaults hold and stand in the plan as open questions.`,
		Example: `  sallyport plan stripe --need "Charge customers for monthly invoices and keep invoice status in step"
  sallyport plan crm --profile github --spec api.github.com.json --need "Open an issue for each support case"
  sallyport plan stripe --need "Refund a payment" --endpoint "POST /v1/refunds" --event charge.refunded
  sallyport plan stripe --need-file needs.md --owner payments --tenant json:data.object.metadata.tenant_id --yes
  sallyport plan twilio --need "Send a text" --endpoint "POST /2010-04-01/Accounts/{AccountSid}/Messages.json"`,
		ValidArgsFunction: completeProviders,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPlan(cmd.Context(), ui, args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.need, "need", "", "the requirement, in a sentence")
	f.StringVar(&o.needFile, "need-file", "", "file with the requirement: a paragraph, or a list of needs")
	f.StringVar(&o.spec, "spec", "", "the provider's OpenAPI document, plain or gzipped; the one in the binary when empty")
	f.StringVar(&o.profile, "profile", "", "catalog profile to stand on; SERVICE when empty")
	f.StringArrayVar(&o.endpoints, "endpoint", nil, `operation to use whatever the ranking says: its id or "POST /v1/refunds"; may be repeated`)
	f.StringArrayVar(&o.events, "event", nil, "webhook event type to use; may be repeated")
	f.StringToStringVar(&o.effects, "effect", nil, "ENDPOINT=read|update|create|irreversible, what repeating it does; may be repeated")
	f.StringVar(&o.tenant, "tenant", "", "where an event names your customer: json:a.b.c, header:NAME, form:KEY or query:KEY")
	f.StringToStringVar(&o.destinations, "destination", nil, "NAME=URL, your address that receives events; may be repeated")
	f.StringArrayVar(&o.environments, "environment", nil, "NAME[=BASE_URL], a stage of your product; development and production when none; may be repeated")
	f.StringVar(&o.owner, "owner", "", "team that is told about trouble")
	f.StringVar(&o.decision, "decision", "", "build, sdk or buy, when people have decided")
	f.StringVar(&o.out, "out", "integrations", "folder to write to")
	f.BoolVarP(&o.yes, "yes", "y", false, "write without asking; what was not said stays an open question")
	cmd.MarkFlagsMutuallyExclusive("need", "need-file")
	for flag, mark := range map[string]func(string, ...string) error{"spec": cmd.MarkFlagFilename, "need-file": cmd.MarkFlagFilename} {
		if err := mark(flag); err != nil {
			panic(err)
		}
	}
	if err := cmd.MarkFlagDirname("out"); err != nil {
		panic(err)
	}
	return cmd
}

// answers are what the flags say.
func (o planOptions) answers() (draft.Answers, error) {
	a := draft.Answers{Tenant: o.tenant, Owner: o.owner, Decision: o.decision, Destinations: o.destinations}
	for name, effect := range o.effects {
		if a.Effects == nil {
			a.Effects = map[string]plan.Effect{}
		}
		a.Effects[name] = plan.Effect(effect)
	}
	return a.Answer("environments", o.environments...)
}

func runPlan(ctx context.Context, ui *terminal, service string, o planOptions) error {
	start := time.Now()
	asks := ui.asks && !o.yes && !ui.quiet
	if err := o.readNeed(ctx, ui, asks); err != nil {
		return err
	}
	file := filepath.Join(o.out, service+".yaml")
	existing, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	input, err := draftInput(ctx, ui, service, o, asks)
	if err != nil {
		return err
	}
	if asks {
		if input, err = ui.interview(ctx, input, file, existing); err != nil {
			return err
		}
	}
	w, err := drafted(file, existing, input)
	if err != nil {
		return err
	}
	ui.showDraft(w.plan, w.report, w.changes)
	if asks && !bytes.Equal(w.yaml, existing) {
		if err := ui.agreed(ctx, "Write "+file+"?"); err != nil {
			return err
		}
	}
	companion := filepath.Join(o.out, service+".md")
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if err := replaceFile(file, w.yaml); err != nil {
		return err
	}
	if err := replaceFile(companion, w.markdown); err != nil {
		return err
	}
	ui.showSummary(w.plan, file)
	ui.say("%s %s and %s in %s", styleGood.Render("wrote"), file, companion, time.Since(start).Round(10*time.Millisecond))
	ui.showNext(w.plan, file)
	return nil
}

// written is a plan that is ready to be written.
type written struct {
	plan           *plan.Plan
	report         *draft.Report
	changes        *draft.Changes // nil: there was no plan
	yaml, markdown []byte
}

// drafted makes all that is written before anything is.
func drafted(file string, existing []byte, input draft.Input) (*written, error) {
	fresh, report, err := draft.Write(input)
	if err != nil {
		return nil, err
	}
	w := &written{report: report}
	if w.yaml, w.changes, err = planFile(existing, fresh, input); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if w.plan, err = plan.Parse(file, w.yaml, catalog.Beside(filepath.Join(filepath.Dir(file), catalog.OwnFolder), catalog.Load)); err != nil {
		return nil, err
	}
	w.markdown, err = document.Markdown(w.plan, input.Document)
	return w, err
}

// readNeed takes the need from where it is.
func (o *planOptions) readNeed(ctx context.Context, ui *terminal, asks bool) error {
	if o.needFile != "" {
		text, err := os.ReadFile(o.needFile)
		if err != nil {
			return err
		}
		if o.need = draft.ReadNeed(string(text)); o.need == "" {
			return fmt.Errorf("%s: nothing is needed there: write what the integration should do, in a paragraph or a list", o.needFile)
		}
	}
	if o.need == "" && asks {
		need, err := ui.typed(ctx, "What should it do, in a sentence?", "What happens in your product, and what should happen at the provider. [--need TEXT]")
		if err != nil {
			return err
		}
		o.need = need
	}
	if strings.TrimSpace(o.need) == "" {
		return errors.New("--need is missing: say in a sentence what the integration should do")
	}
	return nil
}

// planFile is the text of the plan: new, or the existing text with what is new
// added to it.
func planFile(existing []byte, fresh *plan.Plan, input draft.Input) ([]byte, *draft.Changes, error) {
	if len(existing) == 0 {
		b, err := plan.Marshal(fresh)
		return b, nil, err
	}
	return draft.Replan(existing, fresh, input)
}

func draftInput(ctx context.Context, ui *terminal, service string, o planOptions, asks bool) (draft.Input, error) {
	id := o.profile
	if id == "" {
		id = service
	}
	profile, err := catalog.Beside(filepath.Join(o.out, catalog.OwnFolder), catalog.Load)(id)
	if err != nil {
		return draft.Input{}, err
	}
	said, err := o.answers()
	if err != nil {
		return draft.Input{}, err
	}
	input := draft.Input{
		Service: service, Need: o.need, Profile: profile, Endpoints: o.endpoints, Events: o.events, Answers: said, Now: time.Now(),
	}
	spec := o.spec
	switch {
	case spec != "":
		if input.SpecFile, err = relativeTo(o.out, spec); err != nil {
			return draft.Input{}, err
		}
	case profile.Document.Embedded != "":
		spec = plan.EmbeddedSpec + profile.Document.Embedded
		input.SpecFile = spec
	case len(o.endpoints)+len(o.events) > 0:
		return input, nil
	default:
		if !asks {
			return draft.Input{}, fmt.Errorf("%s: the binary carries no API document of this provider; give one with --spec FILE (%s), or name operations with --endpoint \"METHOD /path\"",
				profile.Name, documentHint(profile))
		}
		calls, err := ui.typed(ctx, "Which operations? There is no API document of "+profile.Name+" at hand.",
			"METHOD /path, several separated by commas; see "+profile.Docs+". Better: --spec FILE ("+documentHint(profile)+"). [--endpoint \"METHOD /path\"]")
		if err != nil {
			return draft.Input{}, err
		}
		for _, call := range strings.Split(calls, ",") {
			input.Endpoints = append(input.Endpoints, strings.Join(strings.Fields(call), " "))
		}
		return input, nil
	}
	done := ui.step("reading " + filepath.Base(spec))
	doc, err := readSpec(spec)
	if err != nil {
		return draft.Input{}, err
	}
	done()
	input.Document, input.SpecSHA256 = doc, doc.SHA256
	return input, nil
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
