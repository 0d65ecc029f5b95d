package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/server"
)

// newPlugins lists what a Corefile may use, as "coredns -plugins" does.
func newPlugins() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "plugins",
		Short:   "List the plugins that a Corefile may use, in their order",
		Example: `  resolver plugins`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(server.Directives())
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(server.Directives(), "\n"))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

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
