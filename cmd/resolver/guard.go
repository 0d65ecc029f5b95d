package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/admin"
)

// newGuard makes the verbs for names of others.
func newGuard() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "guard",
		Short: "See and settle the names of others that are kept alive",
		Long: `See the names of others that are guarded, and settle what a machine cannot know:
that a name is gone on purpose, or that its new addresses are right.`,
		Example: "  resolver guard list\n  resolver guard forget old.partner.example\n  resolver guard accept login.partner.example",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.New("say what to do: resolver guard list, forget NAME or accept NAME")
		},
	}
	cmd.AddCommand(
		guardVerb("list", "List the names that are kept, those that stand in first", "resolver guard list", noArgs,
			func(ctx context.Context, c *admin.Client, _ string) (*admin.Guard, error) { return c.Guard(ctx) }),
		guardVerb("forget NAME", "Drop what is kept of a name: it is gone on purpose", "resolver guard forget old.partner.example", oneName,
			func(ctx context.Context, c *admin.Client, name string) (*admin.Guard, error) {
				return c.Forget(ctx, name)
			}),
		guardVerb("accept NAME", "Believe what a name's DNS says now", "resolver guard accept login.partner.example", oneName,
			func(ctx context.Context, c *admin.Client, name string) (*admin.Guard, error) {
				return c.Accept(ctx, name)
			}),
	)
	return cmd
}

func guardVerb(use, short, example string, args cobra.PositionalArgs, do func(context.Context, *admin.Client, string) (*admin.Guard, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: use, Short: short, Example: "  " + example, Args: args}
	to := reach(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := admin.NewClient(*to)
		if err != nil {
			return err
		}
		g, err := do(cmd.Context(), c, append(args, "")[0])
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(g)
		}
		return admin.WriteGuard(cmd.OutOrStdout(), g, time.Now())
	}
	return cmd
}

// oneName wants one name.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("say which name: " + cmd.Example[2:])
	}
	return nil
}
