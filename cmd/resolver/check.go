package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/server"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check [Corefile]", Short: "Show every fault", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
			}
			r, err := server.Check(path)
			if err != nil {
				return err
			}
			for _, f := range r.Faults {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if len(r.Faults) > 0 {
				return &exitError{1, errors.New("faulty")}
			}
			return nil
		},
	}
}
