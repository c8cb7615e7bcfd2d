package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/plan"
)

func newSchema(ui *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of plan files, for editors", GroupID: "look", Args: cobra.NoArgs,
		Example: "  sallyport schema > plan.schema.json",
		RunE: func(*cobra.Command, []string) error {
			b, err := plan.Schema()
			if err != nil {
				return err
			}
			return ui.write("", b)
		},
	}
}
