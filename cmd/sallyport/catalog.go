package main

import (
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/catalog"
)

func newCatalog(ui *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "catalog", Short: "Show what is known about providers", GroupID: "look",
		Example: "  sallyport catalog list\n  sallyport catalog show stripe",
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the providers", Args: cobra.NoArgs, Example: "  sallyport catalog list",
			RunE: func(*cobra.Command, []string) error {
				profiles, err := catalog.All()
				if err != nil {
					return err
				}
				rows := [][]string{}
				for _, p := range profiles {
					webhooks := "none"
					if p.Webhooks != nil {
						webhooks = p.Webhooks.Verify.Algorithm
					}
					rows = append(rows, []string{p.ID, p.Name, p.Category, p.API.BaseURL, webhooks})
				}
				ui.table([]string{"provider", "name", "category", "base URL", "webhooks"}, rows)
				return nil
			},
		},
		&cobra.Command{
			Use: "show PROVIDER", Short: "Print a provider's profile, each fact with source and confidence",
			Args: cobra.ExactArgs(1), Example: "  sallyport catalog show stripe",
			ValidArgsFunction: completeProviders,
			RunE: func(_ *cobra.Command, args []string) error {
				p, err := catalog.Load(args[0])
				if err != nil {
					return err
				}
				b, err := yaml.MarshalWithOptions(p, yaml.IndentSequence(true))
				if err != nil {
					return fmt.Errorf("catalog: %w", err)
				}
				_, err = ui.out.Write(b)
				return err
			},
		},
	)
	return cmd
}

func completeProviders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	profiles, err := catalog.All()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var ids []string
	for _, p := range profiles {
		ids = append(ids, p.ID+"\t"+p.Name)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func completePlans(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}
