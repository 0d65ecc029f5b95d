package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/steer"
)

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario files: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(f, ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			play(t, string(text))
		})
	}
}

// play runs one script. Lines are `TIME WORDS`; times do not go back.
func play(t *testing.T, text string) {
	lines := strings.Split(text, "\n")
	yaml, at := block(lines, 0)
	w := newWorld(t, yaml)
	for ; at < len(lines); at++ {
		f := strings.Fields(strings.SplitN(lines[at], "#", 2)[0])
		if len(f) == 0 {
			continue
		}
		when, span, ok := times(f[0])
		if !ok || len(f) < 2 {
			t.Fatalf("line %d: want TIME WORDS: %q", at+1, lines[at])
		}
		if w.core == nil && when > 0 {
			w.start(engine.Kept{}) // what is said of 0s holds before the first probe
		}
		w.run(when)
		if f[1] == "config" {
			var y string
			y, at = block(lines, at)
			w.edit(at, y)
			at--
			continue
		}
		if !w.act(at+1, f[1:]) {
			w.expect(at+1, span, f[1:])
		}
	}
	for _, x := range w.watches {
		w.run(max(w.now, x.until))
	}
}

// block returns the indented lines after the next line that ends in "config",
// and the index of the line after them.
func block(lines []string, at int) (string, int) {
	for ; at < len(lines) && !strings.HasSuffix(strings.TrimSpace(lines[at]), "config"); at++ {
		_ = at
	}
	var out []string
	for at++; at < len(lines) && (strings.HasPrefix(lines[at], "  ") || strings.TrimSpace(lines[at]) == ""); at++ {
		out = append(out, strings.TrimPrefix(lines[at], "  "))
	}
	return strings.Join(out, "\n"), at
}

// times reads `1m30s` or `1m..2m`.
func times(s string) (at, until time.Duration, ok bool) {
	from, to, isSpan := strings.Cut(s, "..")
	at, err := time.ParseDuration(from)
	if err != nil {
		return 0, 0, false
	}
	if !isSpan {
		return at, 0, true
	}
	until, err = time.ParseDuration(to)
	return at, until, err == nil
}

func cause(name string) health.Cause {
	var c health.Cause
	_ = c.UnmarshalText([]byte(name))
	return c
}

func duration(w *world, line int, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		w.t.Fatalf("line %d: %v", line, err)
	}
	return d
}

// act does what the line says and reports whether it says to do something.
func (w *world) act(line int, f []string) bool {
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	switch f[0] {
	case "fail": // fail TARGET CAUSE [PERCENT%]
		share, _ := strconv.Atoi(strings.TrimSuffix(arg(3), "%"))
		w.faults[f[1]] = fault{cause: cause(arg(2)), share: share}
	case "alternate":
		w.faults[f[1]] = fault{cause: cause(arg(2)), alternate: true}
	case "flap": // flap TARGET CAUSE GOOD BAD
		w.faults[f[1]] = fault{cause: cause(arg(2)), good: duration(w, line, arg(3)), bad: duration(w, line, arg(4)), since: w.now}
	case "silence":
		w.faults["prober"] = fault{silent: true}
	case "heal":
		delete(w.faults, f[1])
	case "drain", "down", "up": // drain TARGET [for D] [reserve]
		w.override(line, f)
	case "lift":
		w.lift(f[1])
	case "freeze": // freeze TARGET|all for D
		target := qualify(arg(1))
		w.freezes = append(w.freezes, steer.Freeze{Target: target, Until: w.clock().Add(duration(w, line, arg(3)))})
		w.apply()
	case "failback": // failback TARGET [now]
		w.core.AskFailback(qualify(arg(1)), len(f) > 2 && f[2] == "now", w.clock())
		w.publish()
	case "restart":
		w.restart(duration(w, line, arg(1)))
	case "few": // only two clients ask, each for many
		w.spread = true
	case "resolve": // resolve NAME ADDRESS...: what a name's lookup gives; none is a failure
		w.resolve(f[1]+".", f[2:])
	default:
		return false
	}
	return true
}

func (w *world) override(line int, f []string) {
	o := steer.Override{
		Target: qualify(f[1]), Made: w.clock(), Reason: "scenario", Owner: "test",
		Kind: map[string]steer.OverrideKind{"drain": steer.Drain, "down": steer.ForceDown, "up": steer.ForceUp}[f[0]],
	}
	for i, word := range f {
		switch word {
		case "for":
			o.Until = w.clock().Add(duration(w, line, f[i+1]))
		case "reserve":
			o.Reserve = true
		}
	}
	w.hands = append(w.hands, o)
	w.apply()
}

func (w *world) lift(target string) {
	for i := range w.hands {
		if w.hands[i].Target == qualify(target) {
			w.hands = append(w.hands[:i:i], w.hands[i+1:]...)
			break
		}
	}
	w.apply()
}

func (w *world) apply() {
	w.core.SetHands(w.hands, w.freezes)
	w.publish()
}

// qualify turns a service's name as people write it into its owner name.
func qualify(target string) string {
	if target == "all" {
		return ""
	}
	name, end, isEnd := strings.Cut(target, "/")
	switch {
	case !strings.Contains(name, "."):
		return target // a region
	case isEnd:
		return name + "./" + end
	}
	return name + "."
}

func (w *world) edit(line int, yaml string) {
	cfg := w.parse(yaml)
	err := w.core.Replan(w.replan(cfg), w.clock(), false)
	if err != nil {
		w.refused = err
		return
	}
	w.cfg = cfg
	w.schedule(100 * time.Millisecond)
	w.sweep(w.life)
	w.publish()
	_ = line
}

// expect checks what the line says must be seen, at one instant or throughout.
func (w *world) expect(line int, until time.Duration, f []string) {
	w.t.Helper()
	if msg := w.see(line, f); msg != "" {
		w.errorf(line, "%s: %s", strings.Join(f, " "), msg)
		return
	}
	if until > w.now {
		w.watches = append(w.watches, watch{line, until, f})
	}
}

func (w *world) see(line int, f []string) string {
	s := w.core.Snapshot()
	switch f[0] {
	case "brake":
		return is(onOff(w.core.Brake.On), f[1])
	case "region":
		for r := range s.Plan.Regions {
			if s.Plan.Regions[r].Name == f[1] {
				return is(downUp(s.Regions[r].Down), f[2])
			}
		}
		return "no such region"
	case "refused":
		if w.refused == nil {
			return "the edit was not refused"
		}
		return ""
	}
	if len(f) < 2 {
		w.t.Fatalf("line %d: what is %q?", line, f)
	}
	return w.seeService(line, s, f)
}

func (w *world) seeService(line int, s *steer.Snapshot, f []string) string {
	i := w.service(f[0])
	st := s.State(i)
	regions, addrs, d := w.ask(s, i, false)
	switch f[1] {
	case "->": // -> REGION [LOW..HIGH%]
		return share(regions, f)
	case "never":
		if n := regions[f[2]] + addrs[f[2]]; n > 0 {
			return describe(regions)
		}
	case "answers":
		if addrs[f[2]] == 0 {
			return fmt.Sprint(addrs)
		}
	case "only":
		if len(addrs) != 1 || addrs[f[2]] == 0 {
			return fmt.Sprint(addrs)
		}
	case "aaaa":
		v6, _, _ := w.ask(s, i, true)
		return share(v6, append([]string{f[0], "->"}, f[2:]...))
	case "ttl": // ttl LOW..HIGH, seconds
		low, high := bounds(f[2])
		if int(d.TTL) < low || int(d.TTL) > high {
			return fmt.Sprintf("TTL %d", d.TTL)
		}
	case "reason":
		return is(st.Reason.String(), f[2])
	case "backups":
		return is(strconv.Itoa(st.Backups), f[2])
	case "void":
		return is(strconv.Itoa(len(st.Void)), f[2])
	case "hidden":
		return is(strconv.FormatBool(st.DrainHid), f[2])
	case "standing": // standing REGION NAME
		return standing(s, i, f)
	case "moves": // moves LOW..HIGH
		low, high := bounds(f[2])
		if n := w.moves[f[0]+"."]; n < low || n > high {
			return fmt.Sprintf("%d moves", n)
		}
	default:
		w.t.Fatalf("line %d: what is %q?", line, f[1])
	}
	return ""
}

func standing(s *steer.Snapshot, i int32, f []string) string {
	for p, pool := range s.Plan.Services[i].Pools {
		if s.Plan.Regions[pool.Region].Name == f[2] {
			return is(s.State(i).Pools[p].Standing.String(), f[3])
		}
	}
	return "no pool there"
}

func share(regions map[string]int, f []string) string {
	low, high := 100, 100
	if len(f) > 3 {
		low, high = bounds(strings.TrimSuffix(f[3], "%"))
	}
	if p := regions[f[2]] * 100 / clients; p < low || p > high {
		return describe(regions)
	}
	return ""
}

// bounds reads `5..10` or `5`.
func bounds(s string) (low, high int) {
	a, b, isSpan := strings.Cut(s, "..")
	low, _ = strconv.Atoi(a)
	if !isSpan {
		return low, low
	}
	high, _ = strconv.Atoi(b)
	return low, high
}

func is(got, want string) string {
	if got != want {
		return "it is " + got
	}
	return ""
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func downUp(b bool) string {
	if b {
		return "down"
	}
	return "up"
}
