package main

import (
	"context"
	"errors"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/demo"
)

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a failover as it happens, on this machine, in half a minute",
		Long: `Show a failover as it happens: three regions as small web servers on loopback, a
real resolver on 127.0.0.1:1053 with real probes, and clients that ask it all the
time. Then one region falls silent, and later comes back.

It needs no rights, changes nothing and leaves nothing behind; Ctrl-C ends it.`,
		Example: `  resolver demo
  dig @127.0.0.1 -p 1053 shop.example.org     in a second terminal`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
			err := demo.Run(ctx, demo.Default(cmd.OutOrStdout()))
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return &exitError{130, nil}
			}
			return err
		},
	}
}
