package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func oneDirectory(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("say into which directory: resolver man /usr/local/share/man/man1")
	}
	return nil
}

// newMan is for packages: it is not in the help.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIRECTORY",
		Short:   "Write the manual pages",
		Long:    "Write a manual page for each verb into a directory, which is made if it is not there.",
		Example: "  resolver man /usr/local/share/man/man1",
		Args:    oneDirectory,
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // everyone reads manuals
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Section: "1", Source: "Detour", Manual: "Detour"} // dated by SOURCE_DATE_EPOCH
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			return nil
		},
	}
}
