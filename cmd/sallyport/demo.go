package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/demo"
)

// unattended is how long the demo goes on when nobody is there to end it.
const unattended = 20 * time.Second

func newDemo(ui *terminal) *cobra.Command {
	var c demo.Config
	cmd := &cobra.Command{
		Use: "demo", Short: "See all of it work, with traffic and faults", GroupID: "run", Args: cobra.NoArgs,
		Long: `See all of it work: the plan for Stripe from a sentence, the sandbox as Stripe, the gateway, a receiving app, and traffic with faults.

Exit status 0 means that all went as the plan says. Without --for it goes on until Ctrl-C at a terminal, and for 20 s elsewhere.`,
		Example: "  sallyport demo\n  sallyport demo --for 20s",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Out = ui.out
			if c.For == 0 && !ui.asks {
				c.For = unattended
			}
			err := demo.Run(cmd.Context(), c)
			switch {
			case errors.Is(err, demo.ErrUnmet):
				return &exitError{code: 1, err: err}
			case errors.Is(err, context.Canceled):
				return &exitError{code: 130, err: errors.New("ended before the demo was through")}
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&c.For, "for", 0, "how long it goes on, such as 20s")
	cmd.Flags().StringVar(&c.Folder, "folder", "", "folder for the plan and the database; a new temporary one when empty")
	return cmd
}
