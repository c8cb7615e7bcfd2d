package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/review"
)

func newReview(ui *terminal) *cobra.Command {
	var format, out string
	formats := []string{"text", "md", "json", "sarif", "junit"}
	cmd := &cobra.Command{
		Use: "review PLAN…", Short: "Check plans against the rules", GroupID: "think", Args: cobra.MinimumNArgs(1),
		Long: `Check plans against the rules.

Exit status: 0 when no finding has severity error, 1 when one has, 2 when a plan can't be read.`,
		Example: `  sallyport review integrations/*.yaml
  sallyport review integrations/stripe.yaml --format sarif -o review.sarif`,
		ValidArgsFunction: completePlans,
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(formats, format) {
				return fmt.Errorf("--format: %q is not one of %s", format, strings.Join(formats, ", "))
			}
			result := &review.Result{}
			var unusable []error
			for _, file := range args {
				p, err := plan.Load(file, catalog.Load)
				if err != nil {
					unusable = append(unusable, err)
					continue
				}
				doc, err := documentOf(ui, p)
				if err != nil {
					ui.say("%s %v", styleDim.Render("note:"), err)
				}
				result.Add(review.Plan(p, review.Options{Now: time.Now(), Document: doc}))
			}
			if err := errors.Join(unusable...); err != nil {
				return err
			}
			var b bytes.Buffer
			if err := result.Write(&b, format, ui.color() && out == "" && format == "text"); err != nil {
				return err
			}
			if err := ui.write(out, b.Bytes()); err != nil {
				return err
			}
			if result.Failed() {
				return &exitError{code: 1}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", strings.Join(formats, ", "))
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write; standard output when empty")
	fixedCompletion(cmd, "format", formats...)
	return cmd
}
