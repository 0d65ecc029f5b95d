package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/demo"
)

func newDemo() *cobra.Command {
	var loop bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a failover as it happens, on this machine, in half a minute",
		Long: `Show a failover as it happens: three regions as small web servers on loopback, a
real resolver on 127.0.0.1:1053 with real probes, and clients that ask it all the
time. Then one region falls silent, and later comes back.

It needs no rights, changes nothing and leaves nothing behind; Ctrl-C ends it.`,
		Example: `  resolver demo
  resolver demo --loop
  dig @127.0.0.1 -p 1053 shop.example.org     in a second terminal`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
			o := demo.Default(cmd.OutOrStdout())
			o.Loop, o.Command = loop, typed()
			err := demo.Run(ctx, o)
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return &exitError{130, nil}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&loop, "loop", false, "tell it again and again, until Ctrl-C")
	return cmd
}

// typed is how this command is typed: "resolver" where that is found, else its path.
func typed() string {
	self, err := os.Executable()
	if err != nil {
		return "resolver"
	}
	if found, err := exec.LookPath("resolver"); err == nil && sameFile(found, self) {
		return "resolver"
	}
	return self
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}
