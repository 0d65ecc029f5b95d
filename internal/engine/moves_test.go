package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/config"
)

// TestMovesThatComeLater holds that an edit which puts a new region first is counted as the
// moves to which it leads once the region proves well, though none comes at once; and that
// one that puts it last is taken.
func TestMovesThatComeLater(t *testing.T) {
	for _, writer := range []bool{true, false} {
		for _, at := range []string{"203.0.113.1", "lb.example.net"} {
			t.Run(fmt.Sprintf("writer %v %s", writer, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					z, dir := &zone{}, t.TempDir()
					z.set("203.0.113.10")
					with := func(before, after string) *config.Config {
						var b strings.Builder
						fmt.Fprintf(&b, "monitors: {sql: {type: tcp, port: 5432}}\nadmin: {listen: \"off\"}\nstate: {dir: %s}\nservices:\n", dir)
						for i := range 10 {
							fmt.Fprintf(&b, "  s%d.example.org:\n    monitors: [sql]\n    single_writer: %v\n    pools:\n%s      - aws/us-east-1: [192.0.2.%d]\n      - gcp/europe-west1: [198.51.100.%d]\n%s", i, writer, before, i+1, i+1, after)
						}
						return parse(t, b.String())
					}
					e, err := Start(Options{Config: with("", ""), Dial: (&world{}).dial, Lookup: z.lookup})
					if err != nil {
						t.Fatal(err)
					}
					defer e.Close()
					pass(2 * time.Minute)
					pool := "      - azure/westeurope: [" + at + "]\n"
					if err := e.Apply(with(pool, "")); !errors.Is(err, ErrTooManyMoves) {
						t.Errorf("the new region first: %v", err)
					}
					if err := e.Apply(with("", pool)); err != nil {
						t.Errorf("the new region last: %v", err)
					}
					pass(2 * time.Minute)
					for i := range int32(10) {
						if used := e.Load().Used(i); len(used) != 1 || used[0] != aws {
							t.Errorf("service %d uses %v", i, used)
						}
					}
				})
			})
		}
	}
}
