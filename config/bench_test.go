package config

import (
	"fmt"
	"strings"
	"testing"
)

// manyServices returns a file of n services with two pools each.
func manyServices(n int) []byte {
	var b strings.Builder
	b.WriteString("monitors: {web: {type: https, path: /healthz}}\nservices:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%d.example.org:\n    monitors: [web]\n    pools:\n      - aws/us-east-1: [10.1.%d.%d]\n      - gcp/europe-west1: [10.2.%d.%d]\n",
			i, i/250%250, i%250, i/250%250, i%250)
	}
	return []byte(b.String())
}

func BenchmarkParse10000Services(b *testing.B) {
	data := manyServices(10_000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("failover.yaml", data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseAllWrong is the dearest file of its size: every service names
// an unknown monitor, for which the nearest is sought.
func BenchmarkParseAllWrong(b *testing.B) {
	data := []byte(strings.ReplaceAll(string(manyServices(10_000)), "monitors: [web]", "monitors: [wob]"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("failover.yaml", data); err == nil {
			b.Fatal("no fault")
		}
	}
}
