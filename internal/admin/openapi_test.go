package admin

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/detour-dns/detour/config"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// TestOpenAPI: the description is what the route table and the wire's types say,
// comments included.
func TestOpenAPI(t *testing.T) {
	want, err := json.MarshalIndent(describe(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("openapi.json")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("openapi.json is not what the code says (%v): go test ./internal/admin -run OpenAPI -update", err)
	}
}

type object = map[string]any

// describer makes the schemas of the types that the API speaks.
type describer struct {
	t       *testing.T
	says    map[string]string // of Type and Type.Field, from the source
	schemas object
}

func describe(t *testing.T) object {
	d := &describer{t, comments(t, ".", "../journal"), object{}}
	problem := object{"description": "Why not, and what to do (RFC 9457).", "content": object{"application/problem+json": object{"schema": d.of(reflect.TypeFor[Problem]())}}}
	paths := object{}
	for _, r := range api {
		op := object{
			"summary": r.says,
			"responses": object{
				"200":     object{"description": "Done.", "content": d.reply(&r)},
				"default": problem,
			},
		}
		var params []object
		for _, name := range []string{"name", "target"} {
			if strings.Contains(r.path, "{"+name+"}") {
				params = append(params, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
			}
		}
		for _, p := range r.query {
			params = append(params, object{"name": p.name, "in": "query", "description": p.says, "schema": object{"type": "string"}})
		}
		if params != nil {
			op["parameters"] = params
		}
		if _, yaml := r.body.(string); yaml {
			op["requestBody"] = object{"required": true, "content": object{"application/yaml": object{"schema": object{"type": "string"}}}}
		} else if r.body != nil {
			op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": d.of(reflect.TypeOf(r.body))}}}
		}
		if paths[r.path] == nil {
			paths[r.path] = object{}
		}
		paths[r.path].(object)[strings.ToLower(r.method)] = op
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Detour admin API", "version": "1",
			"description": "Under /v1/ fields may be added; none is renamed, removed or given another meaning. Times are RFC 3339, names are without their last dot, a list is never null. Nothing is changed by GET.",
		},
		"servers":  []object{{"url": "http://localhost", "description": "By the unix socket, curl --unix-socket /run/detour/admin.sock; or where admin.listen says."}},
		"security": []object{{}, {"token": []string{}}},
		"paths":    paths,
		"components": object{
			"schemas":         d.schemas,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "One of admin.token_file. Off this machine every request needs one, on TCP of this machine every change; one of scope read changes nothing. By the unix socket none is needed, unless there is a token_file: then every change needs one."}},
		},
	}
}

func (d *describer) reply(r *route) object {
	out := object{"application/json": object{"schema": d.of(reflect.TypeOf(r.reply))}}
	if r.path == "/v1/events" {
		out["text/event-stream"] = object{"schema": object{"type": "string"}}
	}
	return out
}

// of returns the schema of a type; structs become components.
func (d *describer) of(t reflect.Type) object {
	switch t.Kind() { //nolint:exhaustive // the wire has no others, which the default says
	case reflect.Pointer:
		return d.of(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Slice:
		return object{"type": "array", "items": d.of(t.Elem())}
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return object{"type": "object"}
		}
		return object{"type": "object", "additionalProperties": d.of(t.Elem())}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return object{"type": "string", "format": "date-time"}
		}
		d.component(t)
		return object{"$ref": "#/components/schemas/" + t.Name()}
	}
	d.t.Fatalf("the wire has a %s, which is not described", t)
	return nil
}

func (d *describer) component(t reflect.Type) {
	if d.schemas[t.Name()] != nil {
		return
	}
	props, required := object{}, []string{}
	d.schemas[t.Name()] = object{} // it may hold itself
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			d.t.Errorf("%s.%s has no name on the wire", t.Name(), f.Name)
		}
		schema := d.of(f.Type)
		if says := d.says[t.Name()+"."+f.Name]; says != "" {
			schema["description"] = says
		}
		props[name] = schema
		if !strings.Contains(opts, "omit") {
			required = append(required, name)
		}
	}
	d.schemas[t.Name()] = object{"type": "object", "description": d.says[t.Name()], "properties": props, "required": required}
}

// comments reads what the source says of types and their fields.
func comments(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			f, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				decl, ok := n.(*ast.GenDecl)
				if !ok {
					return true
				}
				for _, spec := range decl.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok {
						out[s.Name.Name] = oneLine(decl.Doc.Text())
						fields(s, out)
					}
				}
				return false
			})
		}
	}
	return out
}

func fields(s *ast.TypeSpec, out map[string]string) {
	st, ok := s.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range st.Fields.List {
		for _, name := range f.Names {
			out[s.Name.Name+"."+name.Name] = oneLine(f.Doc.Text() + " " + f.Comment.Text())
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestRepliesAreAsDescribed asks a server for everything, in a world in which
// something failed, and holds each reply against its schema, in which it may have
// nothing more than what is described.
func TestRepliesAreAsDescribed(t *testing.T) {
	doc := describe(t)
	strict(doc)
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("api.json", parsed); err != nil {
		t.Fatal(err)
	}
	keep(t)
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	s.world.refuse("192.0.2.10", "192.0.2.11", "192.0.2.20")
	eventually(t, client(t, srv), "moved", func(now *Status) bool { return now.Moved.Services > 0 })
	asked := map[string]bool{}
	for _, q := range requests {
		r := send(t, srv, q.method, q.path, q.body)
		name := "Problem"
		if r.status == http.StatusOK {
			name = q.schema
			asked[q.method+" "+q.route] = true
		}
		schema, err := c.Compile("api.json#/components/schemas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(r.body))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			t.Errorf("%s %s: %d %s\nis not as described: %v", q.method, q.path, r.status, r.body, err)
		}
	}
	for _, r := range api {
		if r.path != "/v1/openapi.json" && !asked[r.method+" "+r.path] {
			t.Errorf("%s %s: no reply was seen", r.method, r.path)
		}
	}
}

// requests is one good request for each route, and some that are refused.
var requests = []struct{ method, route, path, body, schema string }{
	{"GET", "/v1/status", "/v1/status", "", "Status"},
	{"GET", "/v1/services/{name}", "/v1/services/shop.example.org", "", "Service"},
	{"GET", "/v1/services/{name}", "/v1/services/shp.example.org", "", ""},
	{"GET", "/v1/explain", "/v1/explain?name=shop.example.org", "", "Explanation"},
	{"GET", "/v1/simulate", "/v1/simulate?down=gcp/europe-west1,azure/westeurope", "", "Simulation"},
	{"POST", "/v1/probe", "/v1/probe", `{"target":"aws/us-east-1"}`, "Probes"},
	{"POST", "/v1/check", "/v1/check", fleet, "Compared"},
	{"PUT", "/v1/overrides/{target}", "/v1/overrides/gcp/europe-west1", `{"do":"drain","reason":"r","owner":"o"}`, ""},
	{"PUT", "/v1/overrides/{target}", "/v1/overrides/gcp/europe-west1", `{"do":"drain","reason":"r","owner":"o","break_glass":true}`, "Changed"},
	{"PUT", "/v1/overrides/{target}", "/v1/overrides/gcp/europe-west1", `{"do":"drain","reason":"r2","owner":"p","break_glass":true}`, "Changed"},
	{"GET", "/v1/overrides", "/v1/overrides", "", "Hands"},
	{"GET", "/v1/overrides/{target}", "/v1/overrides/gcp/europe-west1", "", "Override"},
	{"GET", "/v1/status", "/v1/status", "", "Status"},
	{"DELETE", "/v1/overrides/{target}", "/v1/overrides/gcp/europe-west1", "", "Changed"},
	{"PUT", "/v1/freeze", "/v1/freeze", `{"reason":"r","owner":"o"}`, "Changed"},
	{"DELETE", "/v1/freeze", "/v1/freeze", "", "Changed"},
	{"POST", "/v1/failback", "/v1/failback", `{"target":"*","owner":"o","reason":"r"}`, "Changed"},
	{"GET", "/v1/guard", "/v1/guard", "", "Guard"},
	{"POST", "/v1/guard/{name}", "/v1/guard/api.cloud.example", "", "Guard"},
	{"POST", "/v1/guard/{name}", "/v1/guard/api.clod.example", "", ""},
	{"DELETE", "/v1/guard/{name}", "/v1/guard/api.cloud.example", "", "Guard"},
	{"GET", "/v1/events", "/v1/events?since=1h", "", "Events"},
	{"GET", "/v1/events", "/v1/events?since=yesterday", "", ""},
	{"GET", "/v1/incidents", "/v1/incidents?since=1h", "", "Incidents"},
}

// strict makes a schema refuse what it does not describe.
func strict(v any) {
	switch v := v.(type) {
	case object:
		if v["properties"] != nil && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			strict(v[k])
		}
	case []object:
		for _, x := range v {
			strict(x)
		}
	}
}
