package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/generate"
	"github.com/sallyport/sallyport/plan"
)

func newGenerate(ui *terminal) *cobra.Command {
	var out, pkg, language string
	var force bool
	cmd := &cobra.Command{
		Use: "generate PLAN --out DIR", Short: "Write a typed adapter for the plan's service", GroupID: "think", Args: cobra.ExactArgs(1),
		Long: `Write a typed adapter for the plan's service: a method for each endpoint, a type
for each mapping, a door for its events. It calls the gateway's named endpoints
and needs nothing but the standard library.

Files named .gen. are brought up to date; one that was edited by hand is not
overwritten. mapper.go and mapper.ts are yours: written once, never touched again.`,
		Example: `  sallyport generate integrations/stripe.yaml --out internal/stripe
  sallyport generate integrations/stripe.yaml --out src/stripe --language ts`,
		ValidArgsFunction: completePlans,
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := plan.Load(args[0], catalog.Load)
			if err != nil {
				return err
			}
			write, ok := map[string]func(*plan.Plan, generate.Options) ([]generate.File, error){"go": generate.Go, "ts": generate.TypeScript}[language]
			if !ok {
				return fmt.Errorf("--language: %q is not one of go, ts", language)
			}
			files, err := write(p, generate.Options{Package: pkg})
			if err != nil {
				return err
			}
			done, err := generate.Write(out, files, force)
			if err != nil {
				return err
			}
			for _, f := range done.New {
				ui.say("wrote %s", f)
			}
			ui.say("%s", styleDim.Render(fmt.Sprintf("%d written, %d unchanged, %d yours", len(done.New), len(done.Unchanged), len(done.Yours))))
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "folder to write to")
	cmd.Flags().StringVar(&pkg, "package", "", "name of the Go package, or of the TypeScript file; the service's when empty")
	cmd.Flags().StringVar(&language, "language", "go", "go or ts")
	cmd.Flags().BoolVar(&force, "force", false, "overwrite generated files that were edited by hand")
	fixedCompletion(cmd, "language", "go", "ts")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}
