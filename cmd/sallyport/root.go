package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

const longHelp = `Sallyport connects your product to third-party services from one plan file.

The plan is written from a sentence and the provider's own API document, becomes
a document people review, is reviewed itself, is acted out by a sandbox, and is
run by the gateway. All of them read the same file, so none drifts from another.`

func newRoot(ui *terminal) *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "Connect your product to third-party services, from one plan file",
		Long:  longHelp,
		Example: `  sallyport demo                                   see it work, nothing to configure
  sallyport plan stripe --need "Charge customers for monthly invoices"
  sallyport review integrations/stripe.yaml
  sallyport serve --environment development`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{},
		PersistentPreRun: func(*cobra.Command, []string) {
			ui.setColor()
		},
	}
	root.SetOut(ui.rawOut)
	root.SetErr(ui.rawErr)
	root.PersistentFlags().BoolVar(&ui.noColor, "no-color", false, "write no colours (NO_COLOR does the same)")
	root.PersistentFlags().BoolVarP(&ui.quiet, "quiet", "q", false, "say only what was asked for, and errors")
	root.AddGroup(
		&cobra.Group{ID: "think", Title: "Plan and review:"},
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "look", Title: "Look up:"},
	)
	root.AddCommand(
		newPlan(ui), newDocument(ui), newReview(ui), newDiff(ui), newGenerate(ui),
		newDemo(ui), newServe(ui), newSandbox(ui), newKeys(ui), newSecrets(ui), newTenants(ui), newEvents(ui), newListen(ui), newWebhooks(ui), newDestinations(ui), newCalls(ui), newConnections(ui), newStorage(ui),
		newCatalog(ui), newVerify(ui), newSchema(ui), newVersion(ui),
	)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w\nsee %s --help", err, cmd.CommandPath())
	})
	return root
}

func newVersion(ui *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", GroupID: "look", Args: cobra.NoArgs,
		Example: "  sallyport version",
		RunE: func(*cobra.Command, []string) error {
			ui.print("sallyport %s %s %s/%s", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// buildVersion is what the linker was told, or else the module's version.
func buildVersion() string {
	if version != "dev" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}
