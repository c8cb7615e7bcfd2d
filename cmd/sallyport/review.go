package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/review"
	"github.com/sallyport/sallyport/review/code"
)

// reviewing are the flags of sallyport review.
type reviewing struct {
	format, out             string
	code                    string
	adapters                []string
	noTypes                 bool
	baseline, writeBaseline string
}

var reviewFormats = []string{"text", "md", "json", "sarif", "junit"}

func newReview(ui *terminal) *cobra.Command {
	var o reviewing
	cmd := &cobra.Command{
		Use: "review PLAN…", Short: "Check plans, and code, against the rules", GroupID: "think",
		Long: `Check plans against the rules, and with --code the code that goes with them:
secrets, the provider's hosts and SDK outside of the adapter, request handlers
that wait for the provider, webhook handlers that verify nothing, errors that
are thrown away. Without a plan, --code looks for every provider of the catalog.

A comment with these words lets one finding pass, for a reason and a time:
  sallyport:ignore RULE until=YYYY-MM-DD reason=WHY

Exit status: 0 when no finding has severity error, 1 when one has, 2 when a plan can't be read.`,
		Example: `  sallyport review integrations/*.yaml
  sallyport review integrations/*.yaml --code . --adapter internal/adapters
  sallyport review integrations/*.yaml --code . --write-baseline review-baseline.json
  sallyport review integrations/*.yaml --code . --baseline review-baseline.json
  sallyport review integrations/stripe.yaml --format sarif -o review.sarif`,
		ValidArgsFunction: completePlans,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && o.code == "" {
				return errors.New("name a plan, or code to look through: sallyport review PLAN… [--code DIR]")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runReview(cmd.Context(), ui, o, args) },
	}
	cmd.Flags().StringVar(&o.format, "format", "text", strings.Join(reviewFormats, ", "))
	cmd.Flags().StringVarP(&o.out, "output", "o", "", "file to write; standard output when empty")
	cmd.Flags().StringVar(&o.code, "code", "", "folder of code to look through as well")
	cmd.Flags().StringSliceVar(&o.adapters, "adapter", nil, "folder, relative to --code, that may know the provider (repeatable; default: found out)")
	cmd.Flags().BoolVar(&o.noTypes, "no-types", false, "read Go by its syntax alone: faster, finds less")
	cmd.Flags().StringVar(&o.baseline, "baseline", "", "file of findings that are let pass")
	cmd.Flags().StringVar(&o.writeBaseline, "write-baseline", "", "write what is found now into a baseline file, and let it pass")
	fixedCompletion(cmd, "format", reviewFormats...)
	return cmd
}

func runReview(ctx context.Context, ui *terminal, o reviewing, files []string) error {
	if !slices.Contains(reviewFormats, o.format) {
		return fmt.Errorf("--format: %q is not one of %s", o.format, strings.Join(reviewFormats, ", "))
	}
	now := time.Now()
	plans, err := loadPlans(files)
	if err != nil {
		return err
	}
	found, ignores, err := scanCode(ctx, ui, o, plans, now)
	if err != nil {
		return err
	}
	result := &review.Result{}
	for _, p := range plans {
		doc, err := documentOf(ui, p)
		if err != nil {
			ui.say("%s %v", styleDim.Render("note:"), err)
		}
		result.Add(review.Plan(p, review.Options{Now: now, Document: doc, Code: review.Outcomes(found)}))
		comments, err := ignoresOf(p.File)
		if err != nil {
			return err
		}
		ignores = slices.DeleteFunc(ignores, func(i review.Ignore) bool { return sameFile(i.File, p.File) })
		ignores = append(ignores, comments...)
	}
	result.Findings = append(result.Findings, found...)
	result.Suppress(ignores, now)
	if err := applyBaseline(ui, o, result); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := result.Write(&b, o.format, ui.color() && o.out == "" && o.format == "text"); err != nil {
		return err
	}
	if err := ui.write(o.out, b.Bytes()); err != nil {
		return err
	}
	if result.Failed() {
		return &exitError{code: 1}
	}
	return nil
}

// loadPlans reads all plans, and tells of every one that can't be read.
func loadPlans(files []string) ([]*plan.Plan, error) {
	var plans []*plan.Plan
	var unusable []error
	for _, file := range files {
		p, err := plan.Load(file, catalog.Load)
		if err != nil {
			unusable = append(unusable, err)
			continue
		}
		plans = append(plans, p)
	}
	return plans, errors.Join(unusable...)
}

// scanCode looks through the code of --code, for the providers of the plans.
func scanCode(ctx context.Context, ui *terminal, o reviewing, plans []*plan.Plan, now time.Time) ([]review.Finding, []review.Ignore, error) {
	if o.code == "" {
		if len(o.adapters) > 0 {
			return nil, nil, errors.New("--adapter needs --code: the folder of the code that is looked through")
		}
		return nil, nil, nil
	}
	var providers []*catalog.Profile
	for _, p := range plans {
		providers = append(providers, p.Provider)
	}
	if len(plans) == 0 {
		all, err := catalog.All()
		if err != nil {
			return nil, nil, err
		}
		providers = all
	}
	report, err := code.Scan(ctx, code.Options{Dir: o.code, Providers: providers, Adapters: o.adapters, Now: now, NoTypes: o.noTypes})
	if err != nil {
		return nil, nil, err
	}
	for _, note := range report.Notes {
		ui.say("%s %s", styleDim.Render("note:"), note)
	}
	return report.Findings, report.Ignores, nil
}

// ignoresOf are the comments of a plan that let findings pass.
func ignoresOf(file string) ([]review.Ignore, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return review.Ignores(file, string(text)), nil
}

// sameFile reports whether two names are of one file, such as a plan that is
// part of the code.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// applyBaseline lets pass what the baseline holds, or writes a new one first.
func applyBaseline(ui *terminal, o reviewing, result *review.Result) error {
	file := cmp.Or(o.writeBaseline, o.baseline)
	if file == "" {
		return nil
	}
	if o.writeBaseline != "" {
		var b bytes.Buffer
		if err := result.Baseline().Write(&b); err != nil {
			return err
		}
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	data, err := os.Open(file)
	if err != nil {
		return err
	}
	defer data.Close()
	baseline, err := review.ReadBaseline(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if mended := result.Accept(baseline); mended > 0 {
		ui.say("%s %d findings of %s are mended; write it anew with --write-baseline", styleDim.Render("note:"), mended, file)
	}
	return nil
}
