package failover

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	clog "github.com/coredns/coredns/plugin/pkg/log"
)

// logHandler writes what the engine logs the way CoreDNS's plugins log: level,
// plugin, message, then key=value pairs.
type logHandler struct {
	log   clog.P
	attrs string
}

func newLogHandler() slog.Handler { return logHandler{log: clog.NewWithPlugin(pluginName)} }

// Enabled implements slog.Handler.
func (h logHandler) Enabled(_ context.Context, l slog.Level) bool {
	return l > slog.LevelDebug || clog.D.Value()
}

// Handle implements slog.Handler.
func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(pair(a))
		return true
	})
	switch line := b.String(); {
	case r.Level >= slog.LevelError:
		h.log.Error(line)
	case r.Level >= slog.LevelWarn:
		h.log.Warning(line)
	case r.Level >= slog.LevelInfo:
		h.log.Info(line)
	default:
		h.log.Debug(line)
	}
	return nil
}

// pair writes one attribute. Values with spaces or control characters are
// quoted, so that nobody's data can pass for ours.
func pair(a slog.Attr) string {
	v := fmt.Sprint(a.Value.Any())
	if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r == 0x7f }) {
		v = fmt.Sprintf("%q", v)
	}
	return " " + a.Key + "=" + v
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.attrs += pair(a)
	}
	return h
}

// WithGroup implements slog.Handler. Groups are not used.
func (h logHandler) WithGroup(string) slog.Handler { return h }
