package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// verbGroup is a part of the help.
type verbGroup struct {
	id, title string
	make      []func() *cobra.Command
}

// verbs makes the subcommands, in the order of the help.
var verbs = []verbGroup{
	{"run", "Run:", []func() *cobra.Command{newServe, newCheck, newDemo}},
	{"see", "See:", []func() *cobra.Command{newStatus, newExplain, newEvents, newProbe, newSimulate}},
	{"act", "Act:", []func() *cobra.Command{newDrain, newUndrain, newIgnoreHealth, newOverrides, newFreeze, newUnfreeze, newFailback, newGuard, newToken}},
	{"", "", []func() *cobra.Command{newVersion, newPlugins, newMan}},
}

// exitError ends the process with a code of its own. Its error, if there is
// one, is printed; without one the verb has said all there is.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// newRoot is the command without a verb, which serves.
func newRoot() *cobra.Command {
	serve := newServe()
	root := &cobra.Command{
		Use:   "resolver",
		Short: "A DNS resolver that moves traffic away from a failing region",
		Long: `Detour is a DNS resolver that moves traffic away from a failing region.

Without a verb it serves, as "resolver serve" does.`,
		Example: `  resolver                                    serve on 127.0.0.1:1053, forwarding to this machine's upstreams
  resolver serve --config /etc/detour/Corefile
  resolver check /etc/detour/Corefile`,
		Args: noArgs, RunE: serve.RunE,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.Flags().AddFlagSet(serve.Flags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	cobra.EnableCommandSorting = false
	for _, group := range verbs {
		if group.id != "" {
			root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		}
		for _, verb := range group.make {
			cmd := verb()
			cmd.GroupID = group.id
			root.AddCommand(cmd)
		}
	}
	return root
}

// noArgs says which verb may have been meant, where cobra would only say that
// there are too many arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("there is no verb %q: did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return fmt.Errorf("%s takes no argument such as %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
}

// execute runs the command and returns its exit code: 0; 1 for an error; others
// as the verb says.
func execute(args []string, stdout, stderr io.Writer) int {
	stdout, stderr = shown{stdout}, shown{stderr}
	root := newRoot()
	root.SuggestionsMinimumDistance = 2
	root.SetArgs(translate(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		exit = &exitError{1, err}
	}
	if exit.err != nil {
		for line := range strings.SplitSeq(exit.err.Error(), "\n") {
			fmt.Fprintf(stderr, "resolver: %s\n", line)
		}
	}
	return exit.code
}
