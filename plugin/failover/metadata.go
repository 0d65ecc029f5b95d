package failover

import (
	"context"
	"strconv"
	"strings"

	"github.com/coredns/coredns/plugin/metadata"

	"github.com/detour-dns/detour/internal/steer"
)

// note tells the metadata plugin what was decided for a query: what is read after
// the answer, by `log` say. Without that plugin in the block it costs nothing.
func (f *Failover) note(ctx context.Context, q *query, i int32, d *steer.Decision) {
	if f.noted {
		note(ctx, q.pub.Plan.Steer, i, d)
	}
}

//go:noinline
func note(ctx context.Context, p *steer.Plan, i int32, d *steer.Decision) {
	region := noRegion
	if d.Pool >= 0 {
		region = p.Regions[d.Region].Name
	}
	for key, value := range map[string]string{
		"service": strings.TrimSuffix(p.Services[i].Name, "."),
		"region":  region,
		"reason":  d.Reason.String(),
		"panic":   strconv.FormatBool(d.Panic),
	} {
		metadata.SetValueFunc(ctx, pluginName+"/"+key, func() string { return value })
	}
}
