package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/admin"
	"github.com/detour-dns/detour/internal/server"
)

// checked is what `check` found.
type checked struct {
	Path     string        `json:"path"`
	Faults   server.Faults `json:"faults"`
	Warnings server.Faults `json:"warnings"`
	Listens  []string      `json:"listens,omitempty"`
	Services []bound       `json:"services"`
	Clients  []string      `json:"clients,omitempty"` // of each failover file: who is answered
	Against  []against     `json:"against,omitempty"`

	files []string // the failover files
}

func newCheck() *cobra.Command {
	var asJSON bool
	var with string
	cmd := &cobra.Command{
		Use:   "check [Corefile | failover.yaml]",
		Short: "Show every fault of a Corefile, and what will happen to each service",
		Long: `Show every fault of a Corefile and of the failover files that it names, or of
one failover file; then, for each service, how fast it moves and comes back.
Nothing is started and nothing is probed. Exit code 1 if there is a fault.

With --against running it also asks the resolver at --admin what the file would
change there, on the health of now: which services would answer from elsewhere,
and whether it would be taken at all. Exit code 1 as well if it would not.

A Corefile may use: ` + strings.Join(slices.Sorted(slices.Values(server.Directives())), " "),
		Example: `  resolver check /etc/detour/Corefile
  resolver check /etc/detour/failover.yaml
  resolver check --against running new/failover.yaml
  resolver check --json /etc/detour/Corefile`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("check takes one file at a time, such as: resolver check /etc/detour/Corefile")
			}
			return nil
		},
	}
	to := reach(cmd.Flags())
	cmd.Flags().StringVar(&with, "against", "", `"running": compare with what the resolver at --admin has in use`)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.RegisterFlagCompletionFunc("against", cobra.FixedCompletions([]string{"running"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := checkFile(append(args, "")[0])
		if err == nil && with != "" {
			err = c.compare(cmd.Context(), with, to)
		}
		if err != nil {
			return err
		}
		if asJSON {
			err = json.NewEncoder(cmd.OutOrStdout()).Encode(c)
		} else {
			err = c.print(cmd.OutOrStdout())
		}
		return errors.Join(err, c.verdict(asJSON))
	}
	return cmd
}

// checkFile checks a Corefile, or a failover file by its ending.
func checkFile(path string) (*checked, error) {
	c := &checked{Path: path, Faults: server.Faults{}, Warnings: server.Faults{}, Services: []bound{}}
	if slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(path)) {
		c.files = []string{path}
		c.addServices(path, true)
		return c, nil
	}
	var said bytes.Buffer // by plugins, of what they did not find fault with
	if err := server.ConfigureLog("text", &said); err != nil {
		return nil, err
	}
	r, err := server.Check(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(said.String()) {
		c.Warnings = append(c.Warnings, server.Fault{File: r.Name, Message: plain(line)})
	}
	c.Path, c.Listens = r.Name, r.Addrs
	c.Faults = append(c.Faults, r.Faults...)
	c.Warnings = append(c.Warnings, r.Warnings...)
	c.files = r.Services
	for _, file := range r.Services {
		c.addServices(file, false) // its faults are among those of the Corefile
	}
	return c, nil
}

// plain takes the level and the plugin's prefix off a line of a log.
func plain(line string) string {
	line = strings.TrimSpace(line)
	line = strings.TrimPrefix(strings.TrimPrefix(line, "[WARNING] "), "[INFO] ")
	return strings.TrimPrefix(line, "plugin/")
}

func (c *checked) addServices(path string, faults bool) {
	cfg, err := config.Load(path)
	if err != nil {
		var found config.Faults
		if errors.As(err, &found) && faults {
			c.Faults = append(c.Faults, convert(found)...)
		}
		return
	}
	c.Warnings = append(c.Warnings, convert(cfg.Warnings)...)
	c.Warnings = append(c.Warnings, convert(cfg.OverridesOver(time.Now()))...)
	c.Warnings = append(c.Warnings, unreadable(cfg)...)
	c.Warnings = append(c.Warnings, convert(cfg.Exposed())...)
	c.Services = append(c.Services, boundsOf(cfg)...)
	c.Clients = append(c.Clients, clientsOf(cfg))
}

// clientsOf says who is answered: whose addresses nobody thought of would find out by
// being refused.
func clientsOf(cfg *config.Config) string {
	var who []string
	if cfg.Recursion.Private {
		who = append(who, "private networks")
	}
	for _, p := range cfg.Recursion.Prefixes {
		who = append(who, p.String())
	}
	public := ""
	if slices.ContainsFunc(cfg.Services, func(s config.Service) bool { return s.Public }) {
		public = " but for public services"
	}
	if len(who) == 0 {
		return "clients: nobody is answered" + public + ": name networks in recursion"
	}
	const shown = 4
	if more := len(who) - shown; more > 0 {
		who = append(who[:shown], fmt.Sprintf("%d more", more))
	}
	return "clients: " + strings.Join(who, ", ") + "; all others are refused" + public + " (recursion)"
}

// unreadable warns of the files that the resolver will need and that cannot be
// read here. It is no fault: a file may be checked on another machine.
func unreadable(cfg *config.Config) (out server.Faults) {
	need := [][2]string{
		{"admin.token_file", cfg.Admin.TokenFile}, {"admin.tls.cert_file", cfg.Admin.CertFile}, {"admin.tls.key_file", cfg.Admin.KeyFile},
	}
	for _, m := range cfg.Monitors {
		need = append(need, [2]string{"ca_file of monitor " + m.Name, m.CAFile})
	}
	for _, n := range need {
		if n[1] == "" {
			continue
		}
		f, err := os.Open(n[1])
		if err != nil {
			out = append(out, server.Fault{File: cfg.Path, Message: n[0] + " cannot be read here: " + err.Error() + "; where the resolver runs its user must be able to"})
			continue
		}
		_ = f.Close()
	}
	return out
}

func convert(in []config.Fault) server.Faults {
	out := make(server.Faults, len(in))
	for i, f := range in {
		out[i] = server.Fault{File: f.File, Line: f.Line, Col: f.Col, Message: f.Message}
	}
	return out
}

func (c *checked) print(w io.Writer) error {
	var b strings.Builder
	for _, f := range c.Faults {
		fmt.Fprintln(&b, f)
	}
	for _, f := range c.Warnings {
		fmt.Fprintln(&b, "warning:", f)
	}
	if len(c.Faults) == 0 {
		c.describe(&b)
	}
	for i := range c.Against {
		fmt.Fprintf(&b, "against what is running, %s:\n", c.Against[i].File)
		if err := admin.WriteCompared(&b, &c.Against[i].Compared); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *checked) describe(w io.Writer) {
	for _, s := range c.Services {
		fmt.Fprintln(w, s.Text)
	}
	for _, text := range c.Clients {
		fmt.Fprintln(w, text)
	}
	fmt.Fprintf(w, "%s: no fault", c.Path)
	if len(c.Listens) > 0 {
		fmt.Fprintf(w, "; will listen on %s", strings.Join(c.Listens, ", "))
	}
	fmt.Fprintln(w)
}

// verdict is the error of a file with faults. JSON says it all by itself.
func (c *checked) verdict(quiet bool) error {
	switch n := len(c.Faults); {
	case n == 0 && !c.refused():
		return nil
	case n == 0 && !quiet:
		return fmt.Errorf("%s: the running resolver would not take it", c.Path)
	case quiet:
		return &exitError{1, nil}
	case n == 1:
		return fmt.Errorf("%s: 1 fault; correct it and check again", c.Path)
	default:
		return fmt.Errorf("%s: %d faults; correct them and check again", c.Path, n)
	}
}
