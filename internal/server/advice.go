package server

import (
	"regexp"
	"strings"
)

// usage is what the directives that people write most often want, for errors
// of the parser that only say that something is missing.
var usage = map[string]string{
	"bind":       "bind 192.0.2.53",
	"cache":      "cache 30",
	"failover":   "failover /etc/detour/failover.yaml",
	"file":       "file /etc/detour/example.org.zone example.org",
	"forward":    "forward . 192.0.2.1 192.0.2.2",
	"health":     "health :8080",
	"hosts":      "hosts /etc/hosts",
	"kubernetes": "kubernetes cluster.local in-addr.arpa ip6.arpa",
	"prometheus": "prometheus 127.0.0.1:9153",
	"ready":      "ready :8181",
	"reload":     "reload 10s",
	"rewrite":    "rewrite name old.example.org new.example.org",
	"root":       "root /etc/detour",
	"template":   "template IN A example.org",
	"tls":        "tls cert.pem key.pem",
}

// noUpstream is what `forward` and `grpc` say of a file that is not there: they
// take its path for a name and look it up.
var noUpstream = regexp.MustCompile(`^(?:failed to resolve|not an IP address or file) "(/[^"]*)"`)

// advise adds to the message of a directive what to do about it, where CoreDNS
// does not say so.
func advise(directive, text string) string {
	example, known := usage[directive]
	switch m := noUpstream.FindStringSubmatch(text); {
	case m != nil:
		return "there is no file " + m[1] + ": name the addresses of upstreams, or a file such as /etc/resolv.conf"
	case !known:
	case strings.HasPrefix(text, "Wrong argument count"):
		return "too few or too many arguments: write for example `" + example + "`"
	case strings.Contains(text, "this plugin can only be used once"):
		return "given twice in this server block: keep one of them"
	}
	return text
}
