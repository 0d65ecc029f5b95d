package main

import (
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/admin"
)

func newSimulate() *cobra.Command {
	var asJSON, all bool
	var down, file string
	cmd := &cobra.Command{
		Use:   "simulate --down REGION[,REGION]",
		Short: "Show who would move where if a region fell silent, and who would be left without",
		Long: `Show what would be if regions fell silent now: which services would move where,
which would lose their last backup, and which would be left without a healthy
answer. It is computed by the code that decides, on the health of now, and changes
nothing. With --config it is computed for a file, as if all in it were healthy;
then no resolver is needed.

Exit code 0: every service would have a healthy answer. 2: some would not.`,
		Example: `  resolver simulate --down aws/us-east-1
  resolver simulate --down aws/us-east-1,gcp/europe-west1 --all
  resolver simulate --down aws/us-east-1 --config failover.yaml     in a pipeline, before it is merged`,
		Args: noArgs,
	}
	to := reach(cmd.Flags())
	cmd.Flags().StringVar(&down, "down", "", "the regions that fail, with commas (needed)")
	cmd.Flags().StringVar(&file, "config", "", "a failover.yaml, instead of a running resolver")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&all, "all", false, "list every service")
	completeFlag(cmd, "down", regions)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if down == "" {
			return errors.New("say which regions fail: resolver simulate --down aws/us-east-1")
		}
		s, err := simulate(cmd, to, down, file)
		if err != nil {
			return err
		}
		if asJSON {
			err = json.NewEncoder(cmd.OutOrStdout()).Encode(s)
		} else {
			err = admin.WriteSimulation(cmd.OutOrStdout(), s, all)
		}
		if err == nil && !s.OK() {
			return &exitError{2, nil}
		}
		return err
	}
	return cmd
}

func simulate(cmd *cobra.Command, to *admin.ClientOptions, down, file string) (*admin.Simulation, error) {
	if file != "" {
		cfg, err := config.Load(file)
		if err != nil {
			return nil, err
		}
		return admin.SimulateIn(cfg, down)
	}
	c, err := admin.NewClient(*to)
	if err != nil {
		return nil, err
	}
	return c.Simulate(cmd.Context(), down)
}
