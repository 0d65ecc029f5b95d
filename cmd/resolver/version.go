package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/server"
)

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show the versions of Detour, CoreDNS and Go",
		Example: `  resolver version --json`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := server.Version()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Detour %s\nCoreDNS %s\n%s\n", v.Detour, v.CoreDNS, v.Go)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
