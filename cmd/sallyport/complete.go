package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
)

const (
	// completionWait is how long the shell waits for a gateway.
	completionWait = 2 * time.Second
	// completionMost is how many events of a service are offered.
	completionMost = 20
)

// completion is what a command that talks to a gateway offers when the person
// presses Tab.
type completion = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective)

// completing has each argument completed in its own way. No answer of the gateway
// is no offer: the shell is no place for errors.
func (g *gateway) completing(arguments ...func(ctx context.Context, before []string) []cobra.Completion) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(arguments) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionWait)
		defer cancel()
		return arguments[len(args)](ctx, args), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// services are those that the gateway serves.
func (g *gateway) services(ctx context.Context, _ []string) (offers []cobra.Completion) {
	for _, s := range g.integrations(ctx) {
		offers = append(offers, cobra.CompletionWithDesc(s.Service, clean(s.Provider)))
	}
	return offers
}

func (g *gateway) integrations(ctx context.Context) []api.Summary {
	var out struct{ Integrations []api.Summary }
	if g.do(ctx, http.MethodGet, "/api/v1/integrations", nil, nil, &out) != nil {
		return nil
	}
	return out.Integrations
}

// eventTypes are those that the plan of the service named before uses.
func (g *gateway) eventTypes(ctx context.Context, before []string) (offers []cobra.Completion) {
	for _, s := range g.integrations(ctx) {
		if len(before) > 0 && s.Service == before[0] {
			for _, name := range s.Events {
				offers = append(offers, clean(name))
			}
		}
	}
	return offers
}

// eventsOf are the youngest events of the service named before, or of all.
func (g *gateway) eventsOf(ctx context.Context, before []string) (offers []cobra.Completion) {
	names := before
	if len(names) == 0 {
		for _, s := range g.integrations(ctx) {
			names = append(names, s.Service)
		}
	}
	var list []api.EventView
	for _, service := range names {
		var out struct{ Events []api.EventView }
		q := url.Values{"kind": {"event"}, "limit": {fmt.Sprint(completionMost)}}
		if g.do(ctx, http.MethodGet, "/api/v1/admin/integrations/"+url.PathEscape(service)+"/logs", q, nil, &out) == nil {
			list = append(list, out.Events...)
		}
	}
	slices.SortFunc(list, func(a, b api.EventView) int { return b.ReceivedAt.Compare(a.ReceivedAt) })
	for _, e := range list[:min(len(list), completionMost)] {
		offers = append(offers, cobra.CompletionWithDesc(e.ID, fmt.Sprintf("%s, %s, %s", clean(e.Type), e.Status, ago(e.ReceivedAt))))
	}
	return offers
}

// completeType offers event types for a flag.
func (g *gateway) completeType(cmd *cobra.Command, flag string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionWait)
		defer cancel()
		return g.eventTypes(ctx, args), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // a flag that does not exist: a mistake of ours, seen at once
	}
}
