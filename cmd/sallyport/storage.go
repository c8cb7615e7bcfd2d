package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
)

func newStorage(ui *terminal) *cobra.Command {
	g := &gateway{ui: ui}
	cmd := &cobra.Command{
		Use: "storage", Short: "Say how large the database is, by table", GroupID: "run", Args: cobra.NoArgs,
		Long: `Say how large the database is, table by table with indexes, and how much of it is free to be used again. What had its time is deleted by the
gateway itself: see retention and retention_calls in its configuration, and webhooks.retention in plans.` + gatewayHelp,
		Example: "  sallyport storage\n  sallyport storage --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var size api.StorageView
			if err := g.do(cmd.Context(), http.MethodGet, "/api/v1/admin/storage", nil, nil, &size); err != nil {
				return err
			}
			return g.show(size, func() { g.showStorage(&size) })
		},
	}
	g.flags(cmd)
	return cmd
}

func (g *gateway) showStorage(size *api.StorageView) {
	parts := []string{bytesWord(&size.Bytes) + " in all"}
	if size.FreeBytes != nil {
		parts = append(parts, bytesWord(size.FreeBytes)+" of it free to be used again")
	}
	if size.LogBytes != nil {
		parts = append(parts, bytesWord(size.LogBytes)+" of write-ahead log beside it")
	}
	g.ui.say("%s; measured %s", strings.Join(parts, ", "), ago(size.MeasuredAt))
	rows := [][]string{}
	for _, t := range size.Tables {
		count := "?"
		if t.Rows != nil {
			count = fmt.Sprint(*t.Rows)
		}
		rows = append(rows, []string{clean(t.Table), count, bytesWord(t.Bytes)})
	}
	g.ui.table([]string{"table", "rows, about", "size"}, rows)
}

// bytesWord is a size as people read it; "?" when it is not known.
func bytesWord(n *int64) string {
	if n == nil {
		return "?"
	}
	f := float64(*n)
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if f < 1000 {
			if unit == "B" || f >= 100 {
				return fmt.Sprintf("%.0f %s", f, unit)
			}
			return fmt.Sprintf("%.1f %s", f, unit)
		}
		f /= 1000
	}
	return fmt.Sprintf("%.1f TB", f)
}
