package main

import "strings"

// stockFlags are the arguments of CoreDNS (coremain/run.go), which its manifests, its
// Helm chart and many units pass: what each is here. Those of one dash would otherwise
// be read as several of one letter.
var stockFlags = map[string]string{
	"conf": "--config", "dns.port": "--port", "p": "--port", "log-format": "--log-format",
	"pidfile": "--pidfile", "quiet": "--quiet",
}

// stockVerbs are those of them that do something else than serve.
var stockVerbs = map[string]string{"version": "version", "plugins": "plugins"}

// translate returns arguments of CoreDNS as ours. What follows a verb, or is ours
// already, stays as it is.
func translate(args []string) []string {
	if len(args) == 0 || !strings.HasPrefix(args[0], "-") { // a verb
		return args
	}
	out := make([]string, 0, len(args))
	for _, arg := range args {
		name, value, has := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if verb, ok := stockVerbs[name]; ok && arg != name {
			return []string{verb}
		}
		out = append(out, translated(arg, name, value, has))
	}
	return out
}

// translated is one argument, which names a flag, perhaps with its value.
func translated(arg, name, value string, has bool) string {
	ours, ok := stockFlags[name]
	switch {
	case !ok || arg == name: // none of CoreDNS's, or the value of one
		return arg
	case has:
		return ours + "=" + value
	}
	return ours
}
