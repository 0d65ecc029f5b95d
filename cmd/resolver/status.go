package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/detour-dns/detour/internal/admin"
)

// reach adds the flags that say where a running resolver is.
func reach(f *pflag.FlagSet) *admin.ClientOptions {
	o := new(admin.ClientOptions)
	f.StringVar(&o.Addr, "admin", "", "the resolver's admin API: unix:///path, http:// or https:// (default: $"+admin.EnvAddr+", else its socket)")
	f.StringVar(&o.TokenFile, "token-file", "", "file with the token, if the resolver wants one")
	f.StringVar(&o.CAFile, "ca-file", "", "certificates to trust for https, instead of the system's")
	return o
}

func newStatus() *cobra.Command {
	var asJSON, all, watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running resolver answers, what moved and what is at risk",
		Long: `Show a running resolver on one page: first in one sentence how it is, then what
moved, what is at risk, what people and automation do, and tables of regions and
services.

Exit code 0: healthy. 1: degraded, or no resolver answers. 2: panic, or a service
has lost its last backup.`,
		Example: `  resolver status
  resolver status --watch
  resolver status --all --admin unix:///run/detour/admin.sock
  resolver status --json | jq .sentence`,
		Args: noArgs,
	}
	to := reach(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&all, "all", false, "list healthy services too, however many there are, and the observers of the cluster")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it anew every second: j and k scroll, / filters rows, q ends it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if asJSON && watch {
			return errors.New("--watch is for people and --json for programs: give one of them; resolver events --follow --json goes on by itself")
		}
		c, err := admin.NewClient(*to)
		switch {
		case err != nil:
			return err
		case watch:
			return watchStatus(cmd, c, all)
		}
		return showStatus(cmd, c, asJSON, all)
	}
	return cmd
}

func showStatus(cmd *cobra.Command, c *admin.Client, asJSON, all bool) error {
	s, err := c.Status(cmd.Context())
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(s)
	} else {
		err = printStatus(cmd.OutOrStdout(), s, all)
	}
	if err == nil && s.ExitCode != 0 {
		return &exitError{s.ExitCode, nil}
	}
	return err
}

// printStatus writes a status, with colors on a terminal.
func printStatus(to io.Writer, s *admin.Status, all bool) error {
	if !colors(to) {
		return admin.WriteStatus(to, s, all)
	}
	out, _ := terminal(to)
	p := painter{on: true}
	for line := range strings.Lines(page(s, nil, all)) {
		if _, err := fmt.Fprintln(out, p.line(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}
