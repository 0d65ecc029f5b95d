package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// maxBody is the largest body of a request. The largest useful one is a reason.
const maxBody = 64 << 10

func problem(status int, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// later is the problem of a request that may be made again after a while.
func later(status int, after time.Duration, format string, args ...any) *Problem {
	p := problem(status, format, args...)
	p.Retry = max(1, int((after+time.Second-1)/time.Second))
	return p
}

// write sends a reply: v, or the problem that err is.
func (s *Server) write(w http.ResponseWriter, v any, err error) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	status := http.StatusOK
	if err != nil {
		var p *Problem
		if !errors.As(err, &p) {
			s.log.Error("admin request failed", "error", err)
			p = problem(http.StatusInternalServerError, "internal error: the log has it")
		}
		h.Set("Content-Type", "application/problem+json")
		if p.Retry > 0 {
			h.Set("Retry-After", strconv.Itoa(p.Retry))
		}
		if status, v = p.Status, p; status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Bearer realm="detour"`)
		}
	}
	text, ok := v.(encoded)
	if !ok {
		text, _ = encode(v) // a Problem
	}
	w.WriteHeader(status)
	s.flights.send(w, text)
}

// read decodes a body strictly: a key that is misspelled must not be taken for
// one that was left out.
func read(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the object")
			if tooLarge(more) {
				err = more
			}
		}
	}
	switch {
	case err == nil:
		return nil
	case tooLarge(err):
		return problem(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", maxBody)
	}
	return problem(http.StatusBadRequest, "the body is not what is expected here: %s", amiss(err))
}

// amiss says what is wrong with a body, in the words of those who write it.
func amiss(err error) string {
	var kind *json.UnmarshalTypeError
	var form *json.SyntaxError
	var at *time.ParseError
	unknown, isUnknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.Is(err, io.EOF):
		return "it is empty, send a JSON object"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends in the middle of an object"
	case isUnknown:
		return "there is no key " + unknown
	case errors.As(err, &kind) && kind.Field == "":
		return "it wants a JSON object, not " + kind.Value
	case errors.As(err, &kind):
		return kind.Field + " wants " + wanted(kind.Type) + ", not " + kind.Value
	case errors.As(err, &form):
		return fmt.Sprintf("it is no JSON at byte %d: %v", form.Offset, form)
	case errors.As(err, &at), strings.Contains(err.Error(), "Time.UnmarshalJSON"):
		return "a time is written such as \"2031-01-31T18:00:00Z\""
	}
	return err.Error()
}

// wanted is what a key of a type takes.
func wanted(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // the others are in no body
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text in quotes"
	}
	return "something else"
}

func tooLarge(err error) bool {
	var e *http.MaxBytesError
	return errors.As(err, &e)
}
