package consul

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/test/kit"
)

// TestLevel: what is decided while a datacenter is away is in it soon after it is
// back, whoever wrote it, and does not come back from there once it is lifted.
func TestLevel(t *testing.T) {
	t.Parallel()
	one, two := kit.Consul(t, kit.ConsulOptions{}), kit.Consul(t, kit.ConsulOptions{Datacenter: "dc2"})
	a := observe(t, "a", nil, one, two)
	go func() { // it mends only what it reads
		for a.ctx.Err() == nil {
			_, _ = a.Records(a.ctx)
		}
	}()
	put := func(n uint64, deleted bool) {
		t.Helper()
		r := share.Record{Kind: share.Override, Target: "aws/us-east-1", Version: share.Version{N: n, Writer: "a"}, Deleted: deleted}
		if err := a.Put(t.Context(), []share.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	put(1, false)
	stores(t, one, 1)
	stores(t, two, 1)
	two.Stop()
	put(2, true)
	stores(t, one, 2)
	two.Start()
	stores(t, two, 2)
	one.Stop()
	put(3, false)
	one.Start()
	stores(t, one, 3)
	stores(t, two, 3)
}

// stores waits until a server has the record in version n.
func stores(t *testing.T, s *kit.ConsulServer, n uint64) {
	t.Helper()
	var r share.Record
	if err := kit.Every(soon/50, 6*soon, func() bool {
		r = share.Record{}
		_ = json.Unmarshal(s.Value("detour/test/v1/ctl/override/aws~2Fus-east-1"), &r)
		return r.Version.N == n
	}); err != nil {
		t.Errorf("%s holds %+v, want version %d", s.Addr, r, n)
	}
}

// TestPutWaitsForNoStoreThatHangs: a drain, and one more right after it, are in the
// datacenter that lives at once, and in the other when it is back.
func TestPutWaitsForNoStoreThatHangs(t *testing.T) {
	t.Parallel()
	one, two := kit.Consul(t, kit.ConsulOptions{}), kit.Consul(t, kit.ConsulOptions{Datacenter: "dc2"})
	a := observe(t, "a", nil, one, two)
	go func() {
		for a.ctx.Err() == nil {
			_, _ = a.Records(a.ctx)
		}
	}()
	record := func(n uint64) []share.Record {
		return []share.Record{{Kind: share.Override, Target: "aws/us-east-1", Version: share.Version{N: n, Writer: "a"}}}
	}
	two.Pause()
	for n := range uint64(3) {
		start := time.Now()
		if err := a.Put(t.Context(), record(n+1)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > writeTimeout*4/5 {
			t.Errorf("decision %d took %v, with one datacenter hanging", n+1, took)
		}
	}
	two.Resume()
	stores(t, two, 3)
}
