package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/admin"
)

// patience is how long a shell waits for what it could complete.
const patience = 2 * time.Second

// completeTargets offers the regions and services of the running resolver.
func completeTargets(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return known(cmd, typed, regions|services), cobra.ShellCompDirectiveNoFileComp
}

// completeNames offers its services.
func completeNames(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return []string{"A", "AAAA", "HTTPS", "SVCB", "SRV"}, cobra.ShellCompDirectiveNoFileComp
	}
	return known(cmd, typed, services), cobra.ShellCompDirectiveNoFileComp
}

// what may be completed.
const (
	regions = 1 << iota
	services
)

// completeFlag offers values of a flag.
func completeFlag(cmd *cobra.Command, flag string, what int) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return known(cmd, typed, what), cobra.ShellCompDirectiveNoFileComp
	}) // the flag is there
}

// known asks the resolver that the flags name. If none answers there is nothing
// to offer, and nothing to say.
func known(cmd *cobra.Command, typed string, what int) []string {
	s, err := ask(cmd)
	if err != nil {
		return nil
	}
	var names []string
	if what&regions != 0 {
		for i := range s.Regions {
			names = append(names, s.Regions[i].Name)
		}
	}
	if what&services != 0 {
		for i := range s.Services {
			names = append(names, s.Services[i].Name)
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, typed) })
}

func ask(cmd *cobra.Command) (*admin.Status, error) {
	o := admin.ClientOptions{}
	for name, into := range map[string]*string{"admin": &o.Addr, "token-file": &o.TokenFile, "ca-file": &o.CAFile} {
		if f := cmd.Flags().Lookup(name); f != nil {
			*into = f.Value.String()
		}
	}
	c, err := admin.NewClient(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.Status(ctx)
}
