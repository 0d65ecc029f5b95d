package admin

import (
	_ "embed"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// handler answers one method of one path.
type handler func(s *Server, r *http.Request) (any, error)

// param is a parameter of a query.
type param struct{ name, says string }

// route is one method of one path, for the server and for its description.
type route struct {
	method, path string
	says         string
	query        []param
	body, reply  any  // values of the types; body nil: none is read
	asks         bool // it changes nothing, though its method is POST
	handle       handler
}

// changes reports whether a route changes anything: what is not said to ask does.
func (to *route) changes() bool { return to.method != http.MethodGet && !to.asks }

// api is the whole API. Nothing is changed by GET.
var api = []route{
	{method: http.MethodGet, path: "/v1/status", says: "The whole resolver on one page.", reply: Status{}, handle: (*Server).getStatus},
	{
		method: http.MethodGet, path: "/v1/services/{name}", says: "One service with its pools, endpoints and checks.",
		reply: Service{}, handle: (*Server).getService,
	},
	{
		method: http.MethodGet, path: "/v1/explain", says: "One decision, step by step, by the code that answers.",
		query: []param{
			{"name", "the name that is asked for (needed)"},
			{"type", "A, AAAA, HTTPS, SVCB or SRV; A if it is not given"},
			{"client", "an address; the resolver's own machine if it is not given"},
			{"all", "1: also what each observer says of each check"},
		},
		reply: Explanation{}, handle: (*Server).getExplain,
	},
	{
		method: http.MethodGet, path: "/v1/events",
		says: "What happened, oldest first. With Accept: text/event-stream the events follow as they happen, each with its ID, kind and JSON; Last-Event-ID goes on after one.",
		query: []param{
			{"since", "how long ago (1h30m), or a time (RFC 3339)"},
			{"after", "the ID of an event: only later ones"},
			{"target", "only what is about a region, a service or an endpoint"},
			{"kind", "only of these kinds, with commas: move,region"},
			{"limit", "the newest so many"},
		},
		reply: Events{}, handle: (*Server).getEvents,
	},
	{
		method: http.MethodGet, path: "/v1/incidents",
		says: "What happened, oldest first, in which what failed together and what followed is one.",
		query: []param{
			{"since", "how long ago (1h30m), or a time (RFC 3339): what lasted until then or later"},
			{"target", "only what is about a region, a service or an endpoint"},
			{"limit", "the newest so many"},
		},
		reply: Incidents{}, handle: (*Server).getIncidents,
	},
	{
		method: http.MethodGet, path: "/v1/simulate", says: "What would be if regions fell silent now. Nothing is changed.",
		query: []param{{"down", "regions, with commas (needed)"}},
		reply: Simulation{}, handle: (*Server).getSimulate,
	},
	{
		method: http.MethodPost, path: "/v1/probe", says: "Run the checks of a target once, from here. No verdict is changed.",
		asks: true, body: PostProbe{}, reply: Probes{}, handle: (*Server).postProbe,
	},
	{
		method: http.MethodPost, path: "/v1/check", says: "What a failover.yaml, which is the body, would change on the health of now. Nothing is changed.",
		asks: true, body: "", reply: Compared{}, handle: (*Server).postCheck,
	},
	{method: http.MethodGet, path: "/v1/overrides", says: "What operators decided.", reply: Hands{}, handle: (*Server).getOverrides},
	{
		method: http.MethodGet, path: "/v1/overrides/{target}", says: "The override on a target: a region, a service, or service/endpoint, its slashes as they are.",
		reply: Override{}, handle: (*Server).getOverride,
	},
	{
		method: http.MethodPut, path: "/v1/overrides/{target}", says: "Set the override on a target. 409 if it would leave services without a ready region and break_glass is not set.",
		body: PutOverride{}, reply: Changed{}, handle: (*Server).putOverride,
	},
	{method: http.MethodDelete, path: "/v1/overrides/{target}", says: "End the override on a target.", reply: Changed{}, handle: (*Server).deleteOverride},
	{
		method: http.MethodPut, path: "/v1/freeze", says: "Stop automation for a while: pools in use stay.",
		body: PutFreeze{}, reply: Changed{}, handle: (*Server).putFreeze,
	},
	{
		method: http.MethodDelete, path: "/v1/freeze", says: "Let automation go on.",
		query: []param{{"target", "of the freeze; everything if it is not given"}},
		reply: Changed{}, handle: (*Server).deleteFreeze,
	},
	{
		method: http.MethodPost, path: "/v1/failback", says: "Let returning pools take their traffic now.",
		body: PostFailback{}, reply: Changed{}, handle: (*Server).postFailback,
	},
	{method: http.MethodGet, path: "/v1/guard", says: "The names of others that are kept, those that stand in first.", reply: Guard{}, handle: (*Server).getGuard},
	{
		method: http.MethodDelete, path: "/v1/guard/{name}", says: "Drop what is kept of a name: it is gone on purpose.",
		reply: Guard{}, handle: (*Server).deleteKept,
	},
	{
		method: http.MethodPost, path: "/v1/guard/{name}", says: "Believe what a name's DNS says now: what was kept is dropped, and it is asked at once.",
		reply: Guard{}, handle: (*Server).postKept,
	},
	{method: http.MethodGet, path: "/v1/openapi.json", says: "This description.", reply: map[string]any{}, handle: (*Server).getOpenAPI},
}

// openAPI is the description of api, which a test makes and holds against it.
//
//go:embed openapi.json
var openAPI []byte

func (s *Server) getOpenAPI(*http.Request) (any, error) { return rawJSON(openAPI), nil }

// rawJSON is a reply that is JSON already.
type rawJSON []byte

// MarshalJSON implements json.Marshaler.
func (b rawJSON) MarshalJSON() ([]byte, error) { return b, nil }

// routes makes the handler of the whole API.
func (s *Server) routes() http.Handler {
	paths := map[string]map[string]*route{}
	for i := range api {
		r := &api[i]
		if paths[r.path] == nil {
			paths[r.path] = map[string]*route{}
		}
		paths[r.path][r.method] = r
	}
	mux := http.NewServeMux()
	for path, methods := range paths {
		mux.Handle(strings.Replace(path, "{target}", "{target...}", 1), s.methods(methods))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.write(w, nil, problem(http.StatusNotFound, "there is no %s here: try /v1/status", r.URL.Path))
	})
	return mux
}

// methods sends a request to the handler of its method. HEAD is GET without a
// body, which net/http sees to.
func (s *Server) methods(m map[string]*route) http.Handler {
	allow := strings.Join(slices.Sorted(maps.Keys(m)), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		to := m[method]
		if to == nil {
			w.Header().Set("Allow", allow)
			s.write(w, nil, problem(http.StatusMethodNotAllowed, "%s cannot be used with %s: use %s", r.Method, r.URL.Path, allow))
			return
		}
		c, _ := r.Context().Value(callerKey{}).(caller)
		if err := errors.Join(to.strayKey(r.URL.Query()), s.allow(to, c)); err != nil {
			s.write(w, nil, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, s.largest(to))
		v, err := s.answer(to, c, r)
		if stream, ok := v.(stream); ok && err == nil {
			stream(w)
			return
		}
		s.write(w, v, err)
	})
}

// stream is a reply that writes itself.
type stream func(http.ResponseWriter)
