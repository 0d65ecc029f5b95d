package consul

import (
	"encoding/json"
	"net/http"
	"testing"

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
	holds := func(s *kit.ConsulServer, n uint64) {
		t.Helper()
		var r share.Record
		if err := kit.Every(soon/50, 6*soon, func() bool {
			r = share.Record{}
			_ = json.Unmarshal(s.Do(http.MethodGet, "/v1/kv/detour/test/v1/ctl/override/aws~2Fus-east-1?raw", nil), &r)
			return r.Version.N == n
		}); err != nil {
			t.Errorf("%s holds %+v, want version %d", s.Addr, r, n)
		}
	}
	put(1, false)
	holds(one, 1)
	holds(two, 1)
	two.Stop()
	put(2, true)
	holds(one, 2)
	two.Start()
	holds(two, 2)
	one.Stop()
	put(3, false)
	one.Start()
	holds(one, 3)
	holds(two, 3)
}
