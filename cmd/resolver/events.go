package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/admin"
)

func newEvents() *cobra.Command {
	var asJSON, follow, flat bool
	var of admin.EventFilter
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happened: failures, moves, refusals, hands, reloads",
		Long: `Show what happened, the oldest first: endpoints that failed and came back, regions
that were judged down, services that moved and why, moves that were wanted and
not made, what operators did, and reloads. The last 10,000 events are kept, also
over restarts.

What failed together within five minutes, and what followed from it, is one
incident: a line, with what moved and what came back below. --flat shows each
event by itself, as --kind, --follow and --json do, of which each line is one
event.`,
		Example: `  resolver events --since 1h
  resolver events --flat --since 1h
  resolver events --kind move,region --limit 20
  resolver events --target shop.example.org --follow
  resolver events --since 2026-03-01T03:00:00Z --json | jq 'select(.kind == "move")'`,
		Args: noArgs,
	}
	to := reach(cmd.Flags())
	cmd.Flags().StringVar(&of.Since, "since", "", "how long ago (1h), or a time (2026-03-01T03:00:00Z); default everything that is kept")
	cmd.Flags().StringVar(&of.Target, "target", "", "only what is about a region, a service or an endpoint")
	cmd.Flags().StringVar(&of.Kind, "kind", "", "only of these kinds, with commas: move,region")
	cmd.Flags().IntVar(&of.Limit, "limit", 0, "only the newest so many")
	cmd.Flags().BoolVar(&flat, "flat", false, "each event by itself, not as incidents")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens; Ctrl-C ends it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an event a line")
	completeFlag(cmd, "target", regions|services)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := admin.NewClient(*to)
		if err != nil {
			return err
		}
		if !flat && !follow && !asJSON && of.Kind == "" {
			return listIncidents(cmd, c, of)
		}
		show := showEvents(cmd, asJSON)
		if follow && of.Target == "" {
			return followEvents(cmd, c, of, show)
		}
		list, err := c.Events(cmd.Context(), of)
		switch {
		case err != nil:
			return err
		case list.Warning != "": // silence would be taken for peace
			return errors.New(list.Warning)
		case follow:
			return followEvents(cmd, c, of, show)
		}
		return listEvents(cmd, list.Events, asJSON, show)
	}
	return cmd
}

// nothingHappened is said instead of an empty list.
const nothingHappened = "nothing happened"

func listIncidents(cmd *cobra.Command, c *admin.Client, of admin.EventFilter) error {
	list, err := c.Incidents(cmd.Context(), of)
	switch {
	case err != nil:
		return err
	case list.Warning != "": // silence would be taken for peace
		return errors.New(list.Warning)
	case len(list.Incidents) == 0:
		fmt.Fprintln(cmd.OutOrStdout(), nothingHappened)
	}
	out := admin.EventWriter{To: cmd.OutOrStdout()}
	for i := range list.Incidents {
		if err := out.Incident(&list.Incidents[i], time.Now()); err != nil {
			return err
		}
	}
	return out.Acts(list.Acts, time.Now())
}

func listEvents(cmd *cobra.Command, list []admin.Event, asJSON bool, show func(*admin.Event) error) error {
	for i := range list {
		if err := show(&list[i]); err != nil {
			return err
		}
	}
	if len(list) == 0 && !asJSON {
		fmt.Fprintln(cmd.OutOrStdout(), nothingHappened)
	}
	return nil
}

// followEvents shows what happens until it is interrupted.
func followEvents(cmd *cobra.Command, c *admin.Client, of admin.EventFilter, show func(*admin.Event) error) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := c.Follow(ctx, of, show, func(why error) {
		fmt.Fprintf(cmd.ErrOrStderr(), "resolver: %v; trying again\n", why)
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// showEvents returns what writes one event after the other.
func showEvents(cmd *cobra.Command, asJSON bool) func(*admin.Event) error {
	if asJSON {
		lines := json.NewEncoder(cmd.OutOrStdout())
		return func(e *admin.Event) error { return lines.Encode(e) }
	}
	out := admin.EventWriter{To: cmd.OutOrStdout()}
	return out.Event
}
