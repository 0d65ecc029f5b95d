package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/plan"
)

// bound is what will happen to one service, in numbers and in words.
type bound struct {
	Service  string  `json:"service"`
	File     string  `json:"file"`
	Refused  float64 `json:"refused_seconds"`  // from a loud fault to new answers
	Silent   float64 `json:"silent_seconds"`   // from a silent one
	Clients  float64 `json:"clients_seconds"`  // from a silent one until no client holds the old answer
	Failback float64 `json:"failback_seconds"` // from Up to the first share, at least; 0 if manual
	Ramp     float64 `json:"ramp_seconds"`     // from the first share to all
	Manual   bool    `json:"manual_failback"`
	Backups  int     `json:"backups"`
	Text     string  `json:"text"`
}

func boundsOf(c *config.Config) []bound {
	out := make([]bound, 0, len(c.Services))
	for i := range c.Services {
		out = append(out, boundOf(c, &c.Services[i]))
	}
	return out
}

func boundOf(c *config.Config, s *config.Service) bound {
	b := plan.BoundOf(c, s)
	out := bound{
		Service: strings.TrimSuffix(s.Name, "."), File: c.Path,
		Refused: b.Refused.Seconds(), Silent: b.Silent.Seconds(), Clients: (b.Silent + b.TTL).Seconds(),
		Manual: s.Failback.Manual, Backups: backups(s),
	}
	if !out.Manual {
		out.Failback, out.Ramp = b.Failback.Seconds(), b.Ramp.Seconds()
	}
	parts := []string{out.Service + ": " + moves(s, b) + ", " + returns(s, b)}
	if s.From != nil && len(s.Pools) == 0 {
		parts = append(parts, "its pools come from the catalog")
	} else {
		parts = append(parts, countBackups(out.Backups), "all dark -> "+resort(s))
	}
	if s.SingleWriter {
		parts = append(parts, "one writer at a time")
	}
	if s.Mode == config.Observe {
		parts = append(parts, "observed only: answers as if all were healthy")
	}
	out.Text = strings.Join(parts, "; ")
	return out
}

// backups counts the pools after the first that could answer.
func backups(s *config.Service) int {
	n := 0
	for i := range s.Pools {
		if enabled(&s.Pools[i]) {
			n++
		}
	}
	return max(n-1, 0)
}

func enabled(p *config.Pool) bool {
	for i := range p.Endpoints {
		if p.Endpoints[i].Enabled {
			return true
		}
	}
	return false
}

func countBackups(n int) string {
	switch n {
	case 0:
		return "NO BACKUP"
	case 1:
		return "1 backup"
	}
	return strconv.Itoa(n) + " backups"
}

// moves says how long it takes until answers change.
func moves(s *config.Service, b plan.Bound) string {
	who := "a pool"
	if s.Policy == config.Failover && len(s.Pools) > 0 {
		who = s.Pools[0].Region
	}
	if b.Silent == 0 {
		return who + " silent -> nothing: no monitor of it votes"
	}
	return fmt.Sprintf("%s silent -> new answers <= %s, clients <= %s", who, span(b.Silent), span(b.Silent+b.TTL))
}

// returns says how traffic comes back.
func returns(s *config.Service, b plan.Bound) string {
	switch {
	case s.Failback.Manual:
		return "back by `resolver failback " + strings.TrimSuffix(s.Name, ".") + "`"
	case s.Policy == config.All:
		return "back >= " + span(s.HoldDown.Step)
	case b.Ramp == 0:
		return "back >= " + span(b.Failback)
	}
	return fmt.Sprintf("back >= %s + %s ramp", span(b.Failback), span(b.Ramp))
}

// resort says what is answered when nothing is healthy.
func resort(s *config.Service) string {
	switch s.LastResort.Mode {
	case "none":
		return "SERVFAIL"
	case "nodata":
		return "no data"
	case "addresses":
		var list []string
		for _, a := range s.LastResort.Addresses {
			list = append(list, a.String())
		}
		return strings.Join(list, ", ")
	case "all":
		return "every pool"
	}
	if s.Policy == config.Failover && len(s.Pools) > 0 {
		return s.Pools[0].Region
	}
	return "as if all were healthy"
}

// span writes a duration as people say it: 11.3 s, 5 min, 2 h.
func span(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d >= time.Minute && d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + " s"
}
