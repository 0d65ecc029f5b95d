package main

import (
	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/server"
)

func newServe() *cobra.Command {
	var o server.Options
	var format string
	cmd := &cobra.Command{
		Use:   "serve [--config Corefile]",
		Short: "Serve (what resolver does without a verb)",
		Long: `Serve what the Corefile says. Without one: 127.0.0.1:1053, forwarding to this
machine's upstreams. A file that happens to be named Corefile in the working
folder is not read unless --config names it.

SIGHUP or SIGUSR1 reload, after a check; SIGTERM or SIGINT stop, twice at once.`,
		Example: `  resolver serve --config /etc/detour/Corefile
  kill -HUP $(pidof resolver)                 read Corefile, zones, certificates and services again`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := server.ConfigureLog(format, cmd.OutOrStdout()); err != nil {
				return err
			}
			return server.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVarP(&o.Corefile, "config", "c", "", "the Corefile (default: the one inside the binary)")
	cmd.Flags().StringVar(&format, "log-format", "text", "text or json")
	cmd.Flags().BoolVar(&o.NoBallast, "no-ballast", false, "do not hold 2 MB of stacks to make answers cheaper")
	return cmd
}
