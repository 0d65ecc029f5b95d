package main

import (
	"encoding/json"
	"errors"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/admin"
)

func newProbe() *cobra.Command {
	var asJSON bool
	var file string
	cmd := &cobra.Command{
		Use:   "probe TARGET",
		Short: "Run the checks of a target now, and show how long each step takes",
		Long: `Run the checks of a region, a service, an endpoint or "self" once, from where the
resolver runs, and show what each saw and how long its steps took. It changes no
verdict. With --config the checks of a file are run from this process; then no
resolver is needed.

Exit code 0: all passed. 1: some failed, or could not be run.`,
		Example: `  resolver probe shop.example.org
  resolver probe shop.example.org/192.0.2.10
  resolver probe aws/us-east-1 --config /etc/detour/failover.yaml`,
		Args:              oneTarget("probe"),
		ValidArgsFunction: completeTargets,
	}
	to := reach(cmd.Flags())
	cmd.Flags().StringVar(&file, "config", "", "a failover.yaml, instead of a running resolver")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := probe(cmd, to, args[0], file)
		if err != nil {
			return err
		}
		if asJSON {
			err = json.NewEncoder(cmd.OutOrStdout()).Encode(p)
		} else {
			err = admin.WriteProbes(cmd.OutOrStdout(), p)
		}
		if err == nil && !p.OK() {
			return &exitError{1, nil}
		}
		return err
	}
	return cmd
}

func probe(cmd *cobra.Command, to *admin.ClientOptions, target, file string) (*admin.Probes, error) {
	if file == "" {
		c, err := admin.NewClient(*to)
		if err != nil {
			return nil, err
		}
		return c.Probe(cmd.Context(), target)
	}
	cfg, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p, err := admin.ProbeIn(ctx, cfg, target)
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	return p, err
}
