package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/detour-dns/detour/internal/admin"
)

// hand is what the verbs have in common that change something by hand.
type hand struct {
	to     *admin.ClientOptions
	reason string
	owner  string
	length time.Duration
	asJSON bool
	did    string // what becomes of the override or freeze, in words
}

// newHand adds the flags of hands to a verb. length 0 means that it has no end.
func newHand(cmd *cobra.Command, length time.Duration) *hand {
	h := &hand{to: reach(cmd.Flags()), did: "in force"}
	why := "why, for the log"
	if length > 0 {
		why = "why, for those who find it later (needed)"
	}
	cmd.Flags().StringVar(&h.reason, "reason", "", why)
	cmd.Flags().StringVar(&h.owner, "owner", whoami(), "whom to ask about it (default: whoever types)")
	cmd.Flags().Lookup("owner").DefValue = "" // so that help and manual are the same for everyone
	cmd.Flags().BoolVar(&h.asJSON, "json", false, "print JSON")
	if length > 0 {
		cmd.Flags().DurationVar(&h.length, "for", length, "until it ends by itself")
	}
	return h
}

// notKept says of a verb that ends something that it takes a reason and an owner only
// so that a line can be edited into it.
func notKept(cmd *cobra.Command) {
	for _, name := range []string{"reason", "owner"} {
		cmd.Flags().Lookup(name).Usage = "not needed here, and not kept"
	}
}

// whoami is the person at the keyboard, also behind sudo.
func whoami() string {
	if u := os.Getenv("SUDO_USER"); u != "" {
		return u
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// act runs a change and says what it did.
func (h *hand) act(cmd *cobra.Command, f func(*admin.Client) (*admin.Changed, error)) error {
	c, err := admin.NewClient(*h.to)
	if err != nil {
		return err
	}
	changed, err := f(c)
	if err != nil {
		return err
	}
	if h.asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(changed)
	}
	return admin.WriteChanged(cmd.OutOrStdout(), h.did, changed, time.Now())
}

// oneTarget wants one argument.
func oneTarget(verb string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("say which target, a region, a service or service/endpoint: resolver %s aws/us-east-1", verb)
		}
		return nil
	}
}

// someTarget takes one argument or none.
func someTarget(verb string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("name one target, a region or a service, or none for everything: resolver %s shop.example.org", verb)
		}
		return nil
	}
}

// newOverride is a verb that sets an override.
func newOverride(verb, do, short, long, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " TARGET --reason WHY", Short: short, Long: long, Example: example,
		Args: oneTarget(verb), ValidArgsFunction: completeTargets,
	}
	h := newHand(cmd, 4*time.Hour)
	var put admin.PutOverride
	cmd.Flags().BoolVar(&put.DryRun, "dry-run", false, "say who would move where, and change nothing")
	cmd.Flags().BoolVar(&put.BreakGlass, "break-glass", false, "even if services are left without a ready region")
	if do == "drain" {
		cmd.Flags().BoolVar(&put.LastResort, "last-resort", false, "use it rather than what is dark")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		put.Do, put.Reason, put.Owner, put.For = do, h.reason, h.owner, h.length.String()
		return h.act(cmd, func(c *admin.Client) (*admin.Changed, error) {
			return c.PutOverride(cmd.Context(), args[0], put)
		})
	}
	return cmd
}

func newDrain() *cobra.Command {
	return newOverride("drain", "drain", "Take a region, a service or an endpoint out of the answers",
		"Take a target out of the answers until the time is over or it is undrained. It\nreturns by failback and ramp. A drain that would leave a service without any\nendpoint does not act on that service.",
		`  resolver drain aws/us-east-1 --reason "migration CHG-4711" --for 6h
  resolver drain shop.example.org/192.0.2.10 --reason "disk swap" --dry-run`)
}

func newIgnoreHealth() *cobra.Command {
	return newOverride("ignore-health", "up", "Answer with a target as if its checks passed",
		"Answer with a target as if its checks passed, until the time is over: for checks\nthat are wrong while the service is well. What really fails is answered, too.",
		`  resolver ignore-health shop.example.org/192.0.2.10 --reason "/healthz answers 500, orders work" --for 30m
  resolver ignore-health db.example.org --reason "its monitor's certificate expired" --for 2h --dry-run`)
}

func newUndrain() *cobra.Command {
	cmd := &cobra.Command{
		Use: "undrain TARGET", Short: "End the override on a target",
		Example: "  resolver undrain aws/us-east-1",
		Args:    oneTarget("undrain"), ValidArgsFunction: completeTargets,
	}
	h := newHand(cmd, 0)
	h.did = "ended"
	notKept(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return h.act(cmd, func(c *admin.Client) (*admin.Changed, error) {
			return c.DeleteOverride(cmd.Context(), args[0])
		})
	}
	return cmd
}

func newFreeze() *cobra.Command {
	cmd := &cobra.Command{
		Use: "freeze [TARGET] --reason WHY", Short: "Stop automation for a while: pools in use stay",
		Example: "  resolver freeze --reason \"incident 12\"\n  resolver freeze shop.example.org --reason \"cut-over\" --for 20m",
		Args:    someTarget("freeze"), ValidArgsFunction: completeTargets,
	}
	h := newHand(cmd, time.Hour)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		put := admin.PutFreeze{Target: append(args, "")[0], Reason: h.reason, Owner: h.owner, For: h.length.String()}
		return h.act(cmd, func(c *admin.Client) (*admin.Changed, error) { return c.PutFreeze(cmd.Context(), put) })
	}
	return cmd
}

func newUnfreeze() *cobra.Command {
	cmd := &cobra.Command{
		Use: "unfreeze [TARGET]", Short: "Let automation go on",
		Example: "  resolver unfreeze", Args: someTarget("unfreeze"), ValidArgsFunction: completeTargets,
	}
	h := newHand(cmd, 0)
	h.did = "ended"
	notKept(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return h.act(cmd, func(c *admin.Client) (*admin.Changed, error) {
			return c.DeleteFreeze(cmd.Context(), append(args, "")[0])
		})
	}
	return cmd
}

func newFailback() *cobra.Command {
	cmd := &cobra.Command{
		Use: "failback TARGET", Short: "Let what is healthy again take its traffic now",
		Long: "Let the healthy pools of a region or a service that wait for it take their traffic\nnow, by the ramp; with --now all of it at once. This is how a manual failback is\ndone. * is everything.",
		Example: "  resolver failback db.example.org --reason \"primary checked\"\n" +
			"  resolver failback aws/us-east-1 --now --reason \"the other region is overloaded\"",
		Args: oneTarget("failback"), ValidArgsFunction: completeTargets,
	}
	h := newHand(cmd, 0)
	var now bool
	cmd.Flags().BoolVar(&now, "now", false, "all of the traffic at once, without a ramp")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		some := false
		err := h.act(cmd, func(c *admin.Client) (*admin.Changed, error) {
			changed, err := c.Failback(cmd.Context(), admin.PostFailback{Target: args[0], Owner: h.owner, Reason: h.reason, Now: now})
			if err == nil {
				some = changed.Failback > 0 || len(changed.Split) > 0
			}
			return changed, err
		})
		if err == nil && !some {
			return errors.New("nothing there waits for a failback: resolver status shows what does")
		}
		return err
	}
	return cmd
}

func newOverrides() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "overrides", Short: "List what operators decided", Args: noArgs,
		Example: "  resolver overrides",
	}
	to := reach(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := admin.NewClient(*to)
		if err != nil {
			return err
		}
		all, err := c.Hands(cmd.Context())
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(all)
		}
		return admin.WriteHands(cmd.OutOrStdout(), all, time.Now())
	}
	return cmd
}
