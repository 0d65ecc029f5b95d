package failover

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/detour-dns/detour/internal/engine"
)

// sample is a metric with its labels' values, as many of them as it has.
type sample struct {
	*metric
	labels [4]string
	n      int
}

func newSample(m *metric, labels []string) sample {
	k := sample{metric: m, n: len(labels)}
	copy(k.labels[:], labels)
	return k
}

// scrape gathers the samples of all files: one that came twice would make
// Prometheus refuse every metric of the process.
type scrape struct {
	values     map[sample]float64
	histograms map[sample]engine.Histogram
}

// merge adds a sample; of several with the same labels what says of them.
func (s *scrape) merge(what func(x, y float64) float64, m *metric, v float64, labels ...string) {
	k := newSample(m, labels)
	if was, ok := s.values[k]; ok {
		v = what(was, v)
	}
	s.values[k] = v
}

func sum(x, y float64) float64 { return x + y }

// mingle makes one hash of those of several files, whatever their order.
func mingle(x, y float64) float64 { return float64(uint64(x) ^ uint64(y)) }

// addHistogram adds a histogram to those with the same labels, which have the
// same bounds.
func (s *scrape) addHistogram(m *metric, h engine.Histogram, labels ...string) {
	k := newSample(m, labels)
	if was, ok := s.histograms[k]; ok {
		h.Count, h.Sum = h.Count+was.Count, h.Sum+was.Sum
		for i := range h.Counts {
			h.Counts[i] += was.Counts[i]
		}
	}
	s.histograms[k] = h
}

func (s *scrape) send(ch chan<- prometheus.Metric) {
	for k, v := range s.values {
		ch <- prometheus.MustNewConstMetric(k.Desc, k.kind, v, k.labels[:k.n]...)
	}
	for k, h := range s.histograms {
		buckets := make(map[float64]uint64, len(h.Bounds))
		for i, b := range h.Bounds {
			buckets[b] = h.Counts[i]
		}
		ch <- prometheus.MustNewConstHistogram(k.Desc, h.Count, h.Sum, buckets, k.labels[:k.n]...)
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
