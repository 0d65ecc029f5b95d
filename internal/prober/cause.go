package prober

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/detour-dns/detour/internal/health"
)

// maxDetail is the longest Result.Detail, in bytes.
const maxDetail = 120

// clean makes text from afar fit for logs and terminals: no control or format
// characters, valid UTF-8, at most maxDetail bytes.
func clean(s string) string {
	if len(s) > 4*maxDetail {
		s = s[:4*maxDetail]
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	for len(s) > maxDetail {
		_, n := utf8.DecodeLastRuneInString(s[:maxDetail+1])
		s = s[:min(maxDetail, maxDetail+1-n)]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return s
}

// errnoCauses says what a system error means on a socket. ENETUNREACH,
// EHOSTUNREACH and EADDRNOTAVAIL have two meanings each: see dialer.explain.
var errnoCauses = map[syscall.Errno]health.Cause{
	syscall.ECONNREFUSED: health.CauseRefused,

	syscall.ETIMEDOUT: health.CauseTimeout,

	syscall.ENETUNREACH:  health.CauseUnreachable,
	syscall.EHOSTUNREACH: health.CauseUnreachable,
	syscall.EHOSTDOWN:    health.CauseUnreachable,
	syscall.ENOPROTOOPT:  health.CauseUnreachable, // ICMP protocol unreachable

	syscall.ECONNRESET:   health.CauseReset,
	syscall.ECONNABORTED: health.CauseReset,
	syscall.EPIPE:        health.CauseReset,
	syscall.ENETRESET:    health.CauseReset,

	syscall.EINVAL:          health.CauseNoRoute, // a blackhole route
	syscall.ENETDOWN:        health.CauseNoRoute,
	syscall.EAFNOSUPPORT:    health.CauseNoRoute,
	syscall.EPROTONOSUPPORT: health.CauseNoRoute,
	syscall.EADDRNOTAVAIL:   health.CauseNoRoute,

	syscall.EMFILE: health.CauseDescriptors,
	syscall.ENFILE: health.CauseDescriptors,

	syscall.EAGAIN:     health.CausePorts,
	syscall.EADDRINUSE: health.CausePorts,
	syscall.ENOBUFS:    health.CausePorts,
	syscall.ENOMEM:     health.CausePorts,

	syscall.EPERM:  health.CausePermission,
	syscall.EACCES: health.CausePermission, // also a prohibit route
}

// classify tells what an error of a socket means and describes it. other is the
// cause of errors that are neither the system's nor silence.
func classify(err error, other health.Cause) (health.Cause, string) {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if c, ok := errnoCauses[errno]; ok {
			return c, errno.Error()
		}
		return other, errno.Error()
	}
	if isTimeout(err) {
		return health.CauseTimeout, "timeout"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return health.CauseReset, "closed by the peer"
	}
	return other, innermost(err)
}

// isTimeout reports whether an operation ended because its time was over, or
// because the probe was.
func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled) || errors.As(err, &ne) && ne.Timeout()
}

// innermost returns the text of the last error of the chain: without the
// addresses that package net puts in front.
func innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// tlsCause is classify for an error of a handshake.
func tlsCause(err error) (health.Cause, string) {
	if certErr, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certCause(certErr.Err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return health.CauseTLS, "not TLS"
	}
	return classify(err, health.CauseTLS)
}

// certCause tells the reasons apart why a certificate was not accepted.
func certCause(err error) (health.Cause, string) {
	if inv, ok := errors.AsType[x509.CertificateInvalidError](err); ok && inv.Reason == x509.Expired {
		if inv.Cert != nil {
			now := time.Now()
			return dateCause(inv.Cert, now, ClockStep(began, now))
		}
		return health.CauseTLSExpired, "certificate outside its validity"
	}
	if host, ok := errors.AsType[x509.HostnameError](err); ok {
		return health.CauseTLSName, "certificate is not for " + host.Host
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return health.CauseTLSUnknown, "certificate signed by an unknown authority"
	}
	return health.CauseTLSUnknown, innermost(err)
}
