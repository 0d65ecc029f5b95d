package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/admin"
)

// newToken makes the verbs for the tokens of the admin API.
func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke tokens of the admin API",
		Long: `Make, list and revoke the tokens in the file that admin.token_file names. A token
of scope read asks; one of scope operate also changes. The resolver reads the file
at each request, so that a new token works, and a revoked one ends, at once.`,
		Example: "  resolver token new dashboards --scope read --file /etc/detour/tokens\n  resolver token list --file /etc/detour/tokens\n  resolver token revoke dashboards --file /etc/detour/tokens",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("say what to do: resolver token new NAME, list or revoke NAME")
		},
	}
	cmd.AddCommand(newTokenNew(), newTokenList(), newTokenRevoke())
	return cmd
}

// tokenFlags adds what the verbs have in common.
func tokenFlags(cmd *cobra.Command) (file *string, asJSON *bool) {
	file = cmd.Flags().String("file", "", "the token file, as admin.token_file names it (needed)")
	asJSON = cmd.Flags().Bool("json", false, "print JSON")
	_ = cmd.MarkFlagRequired("file") // the flag is there
	return file, asJSON
}

func newTokenNew() *cobra.Command {
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Make a token, and print it once",
		Long:    "Make a token and add it to the file, which is made with mode 0600 if there is\nnone: the user of the resolver must be able to read it.",
		Example: "  resolver token new dashboards --scope read --file /etc/detour/tokens",
		Args:    oneToken,
	}
	file, asJSON := tokenFlags(cmd)
	scope := cmd.Flags().String("scope", "read", "read: ask; operate: change as well")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := admin.NewToken(*file, args[0], *scope)
		if err != nil {
			return err
		}
		return printed(cmd, *asJSON, t, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, t.Secret)
			return err
		})
	}
	return cmd
}

func newTokenList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List names and scopes, not the tokens themselves",
		Example: "  resolver token list --file /etc/detour/tokens", Args: noArgs,
	}
	file, asJSON := tokenFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := admin.Tokens(*file)
		if err != nil {
			return err
		}
		return printed(cmd, *asJSON, all, func(w io.Writer) error {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "NAME\tSCOPE")
			for _, k := range all {
				fmt.Fprintf(t, "%s\t%s\n", k.Name, k.Scope)
			}
			return t.Flush()
		})
	}
	return cmd
}

func newTokenRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use: "revoke NAME", Short: "Take a token out of the file: it ends at once",
		Example: "  resolver token revoke dashboards --file /etc/detour/tokens",
		Args:    oneToken,
	}
	file, asJSON := tokenFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := admin.RevokeToken(*file, args[0])
		if err != nil {
			return err
		}
		return printed(cmd, *asJSON, map[string]any{"name": args[0], "revoked": n}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "revoked %s\n", args[0])
			return err
		})
	}
	return cmd
}

func printed(cmd *cobra.Command, asJSON bool, v any, write func(io.Writer) error) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
	}
	return write(cmd.OutOrStdout())
}

// oneToken wants one name.
func oneToken(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("say which name: " + cmd.Example[2:])
	}
	return nil
}
