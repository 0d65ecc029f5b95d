package main

import (
	"context"
	"fmt"
	"os"

	"github.com/detour-dns/detour/internal/admin"
)

// against is what a failover file would change in a running resolver.
type against struct {
	File string `json:"file"`
	admin.Compared
}

// compare asks the running resolver about each failover file. A file with faults
// is not sent: they are said already.
func (c *checked) compare(ctx context.Context, with string, to *admin.ClientOptions) error {
	if with != "running" {
		return fmt.Errorf("--against %s: only --against running can be compared with", with)
	}
	if len(c.Faults) > 0 {
		return nil
	}
	client, err := admin.NewClient(*to)
	if err != nil {
		return err
	}
	for _, file := range c.files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		x, err := client.Compare(ctx, text)
		if err != nil {
			return err
		}
		c.Against = append(c.Against, against{file, *x})
	}
	return nil
}

// refused reports whether the running resolver would not take some file.
func (c *checked) refused() bool {
	for i := range c.Against {
		if a := &c.Against[i]; a.Refused != "" || len(a.Faults) > 0 {
			return true
		}
	}
	return false
}
