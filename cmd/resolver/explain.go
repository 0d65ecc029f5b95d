package main

import (
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/admin"
)

func newExplain() *cobra.Command {
	var asJSON, all bool
	var client string
	cmd := &cobra.Command{
		Use:   "explain NAME [A | AAAA | HTTPS | SVCB | SRV]",
		Short: "Show step by step why a name is answered as it is",
		Long: `Show step by step why a running resolver answers a name as it does, by the same
code that answers. Without --client it explains what the resolver's own machine
gets.`,
		Example: `  resolver explain shop.example.org
  resolver explain shop.example.org AAAA --client 2001:db8::7
  resolver explain shop.example.org --all`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return errors.New("say which name, such as: resolver explain shop.example.org")
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = completeNames
	to := reach(cmd.Flags())
	cmd.Flags().StringVar(&client, "client", "", "explain for this client's address")
	cmd.Flags().BoolVar(&all, "all", false, "show too what each resolver of the cluster says of each check")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := admin.NewClient(*to)
		if err != nil {
			return err
		}
		x, err := c.Explain(cmd.Context(), args[0], append(args, "A")[1], client, all)
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(x)
		}
		return admin.WriteExplanation(cmd.OutOrStdout(), x)
	}
	return cmd
}
