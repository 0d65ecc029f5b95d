package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/server"
)

func newServe() *cobra.Command {
	var o server.Options
	var format, pidfile string
	var port uint16
	cmd := &cobra.Command{
		Use:   "serve [--config Corefile]",
		Short: "Serve (what resolver does without a verb)",
		Long: `Serve what the Corefile says. Without one: 127.0.0.1:1053, forwarding to this
machine's upstreams. A file that happens to be named Corefile in the working
folder is not read unless --config names it.

The arguments of CoreDNS are understood as well: -conf, -dns.port, -p, -pidfile,
-quiet, -log-format, -plugins, -version.

SIGHUP or SIGUSR1 reload, after a check; SIGTERM or SIGINT stop, twice at once.`,
		Example: `  resolver serve --config /etc/detour/Corefile
  kill -HUP $(pidof resolver)                 read Corefile, zones, certificates and services again`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := server.ConfigureLog(format, cmd.OutOrStdout()); err != nil {
				return err
			}
			if pidfile != "" {
				if err := os.WriteFile(pidfile, fmt.Appendln(nil, os.Getpid()), 0o644); err != nil { // #nosec G306 -- for others to read
					return fmt.Errorf("cannot write the process's number: %w", err)
				}
				defer os.Remove(pidfile) //nolint:errcheck // the process ends
			}
			o.Port = port
			return server.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVarP(&o.Corefile, "config", "c", "", "the Corefile (default: the one inside the binary)")
	cmd.Flags().StringVar(&format, "log-format", "text", "text or json")
	cmd.Flags().Uint16Var(&port, "port", 53, "the port of server blocks that name none")
	cmd.Flags().StringVar(&pidfile, "pidfile", "", "a file for the process's number")
	cmd.Flags().Bool("quiet", false, "nothing: for those who come from CoreDNS")
	_ = cmd.Flags().MarkHidden("quiet") // the flag is there
	cmd.Flags().BoolVar(&o.NoBallast, "no-ballast", false, "do not hold 2 MB of stacks to make answers cheaper")
	return cmd
}
