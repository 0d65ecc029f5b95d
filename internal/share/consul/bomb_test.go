package consul

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
)

// hoard is a value under use/ that is small, and of which each service has as many pools
// as there may be; returning makes each another one.
func hoard(t *testing.T, services int, returning bool) []byte {
	t.Helper()
	g := useGroup{}
	for p := range maxPools {
		g.Regions, g.Used, g.Out = append(g.Regions, fmt.Sprint("r", p)), append(g.Used, p), append(g.Out, p)
	}
	if returning {
		g.Returning, g.Ejections, g.Ages = []int{0}, []int{0}, make([]int64, services)
	}
	for i := range services {
		g.Services = append(g.Services, uint64(i))
	}
	body, err := json.Marshal(usage{Boot: "b", Seq: 1, As: []useGroup{g}})
	if err != nil || len(body) > maxUse {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	return body
}

// TestAUseIsNoBomb holds that a small value takes little memory, however many pools it
// gives how many services.
func TestAUseIsNoBomb(t *testing.T) {
	for _, returning := range []bool{false, true} {
		v, err := decodeUsage(hoard(t, 16_000, returning))
		if returning {
			if err == nil {
				t.Error("more returns than anybody writes are believed")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		u := v.ungroup("eu", "a")
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 || len(u.Services) != 16_000 || len(u.Services[9].Pools) != maxPools {
			t.Errorf("%d services of one value take %d bytes", len(u.Services), took)
		}
	}
}

// TestARegionIsSummedUpOnce: each word on a region costs its reader a look at all checks.
func TestARegionIsSummedUpOnce(t *testing.T) {
	for _, c := range []struct {
		regions []string
		ok      bool
	}{{[]string{"a", "b"}, true}, {[]string{"a", "b", "a"}, false}} {
		p := op{Boot: "b", Seq: 1}
		for _, r := range c.regions {
			p.Summed = append(p.Summed, summed{Region: r, Cause: health.CauseTimeout})
		}
		body, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeOp(body); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.regions, err)
		}
	}
}

// TestTheGoneTakeNoRoom holds that of observers that are gone little is remembered, that
// one which comes back as it was is heard with the ages that it had, and that one which
// comes back as it was before is not.
func TestTheGoneTakeNoRoom(t *testing.T) {
	c, now := newCouncil(), time.Unix(1e9, 0)
	see := func(seq uint64) sighting {
		return sighting{"eu/a", "eu", "a", &who{Boot: "b", AssignedSeq: 1}, &op{
			Boot: "b", Seq: seq, AssignedSeq: 1,
			Judged: []judged{{Verdict: health.Down, Checks: packed{1}, Ages: []int64{0}}},
		}}
	}
	if out := c.merge([]sighting{see(2)}, now); len(out) != 1 {
		t.Fatal("not heard")
	}
	c.merge(nil, now.Add(time.Second))
	if l := c.known["eu/a"].lives["b"]; l.opinion.Judged != nil {
		t.Error("what one said that is gone is kept")
	}
	if out := c.merge([]sighting{see(1)}, now.Add(2*time.Second)); len(out) != 0 {
		t.Errorf("an older word of one that was gone counts: %+v", out)
	}
	later := now.Add(time.Minute)
	out := c.merge([]sighting{see(2)}, later)
	if len(out) != 1 || out[0].aged(later).Judged[0].Age != time.Minute {
		t.Errorf("back as it was: %+v", out)
	}
}

// TestWhatGuardsKeepIsBounded holds that neither an observer nor a zone makes others hold
// more than a few megabytes of what its guards keep.
func TestWhatGuardsKeepIsBounded(t *testing.T) {
	values := func(n, size int) (out api.KVPairs) {
		for range n {
			out = append(out, &api.KVPair{Value: make([]byte, size)})
		}
		return out
	}
	left := maxKeptIn
	if n := len(inRoom(append(values(1, maxKept+1), values(1000, maxKept)...), &left)); n != maxKeptBy/maxKept || left != maxKeptIn-maxKeptBy {
		t.Errorf("of one observer %d values are taken, %d bytes are left to its zone", n, left)
	}
	for range maxKeepers {
		inRoom(values(1000, maxKept), &left)
	}
	if small := inRoom(values(1, 1), &left); left != 0 || small != nil {
		t.Errorf("%d bytes are left, and %d values more are taken", left, len(small))
	}
}

// TestNoRecordOutlastsTime holds that the end of a record can be reckoned with.
func TestNoRecordOutlastsTime(t *testing.T) {
	for ttl, ok := range map[time.Duration]bool{0: true, 30 * 24 * time.Hour: true, -1: false, math.MaxInt64: false} {
		value, err := json.Marshal(share.Record{Kind: share.Freeze, Target: "*", Version: share.Version{N: 1, Writer: "a"}, TTL: ttl, Deleted: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeRecord(recordName(share.Freeze, "*"), value); (err == nil) != ok {
			t.Errorf("%v: %v", ttl, err)
		}
	}
}
