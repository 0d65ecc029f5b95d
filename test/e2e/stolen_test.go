package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

const cluster = "/v1/kv/detour/main/v1/"

// thief has the token of an observer, and writes under all keys that it may.
type thief struct {
	t       *testing.T
	c       *kit.ConsulServer
	token   string
	session string
}

func newThief(t *testing.T, c *kit.ConsulServer, token string) *thief {
	t.Helper()
	out, err := c.As(token, http.MethodPut, "/v1/session/create", []byte(`{"Name": "thief", "TTL": "600s", "LockDelay": "1ms", "Behavior": "delete"}`))
	var s struct{ ID string }
	if err != nil || json.Unmarshal(out, &s) != nil {
		t.Fatalf("the thief gets no session: %v, %s", err, out)
	}
	return &thief{t, c, token, s.ID}
}

// write writes a value with the stolen token, under a session if it is to vanish
// with one.
func (x *thief) write(key, value string, held bool) {
	x.t.Helper()
	path := cluster + key
	if held {
		path += "?acquire=" + x.session
	}
	if out, err := x.c.As(x.token, http.MethodPut, path, []byte(value)); err != nil {
		x.t.Fatalf("the thief may not write %s: %v, %s", key, err, out)
	}
}

// refused holds that the token may not write these keys.
func (x *thief) refused(keys ...string) {
	x.t.Helper()
	for _, key := range keys {
		if _, err := x.c.As(x.token, http.MethodPut, cluster+key, []byte("{}")); err == nil {
			x.t.Errorf("an observer's token may write %s", key)
		}
	}
}

// One of five resolvers is dead, and somebody has its token: what its policy allows is
// written, as harmful as it can be. Nobody moves; the others restart one after the
// other, with empty disks, and nobody moves; an operator's drain and undrain hold
// everywhere within two seconds of their acceptance; the region of the single writer
// dies, and all leave it.
func TestOneStolenToken(t *testing.T) {
	c := kit.Consul(t, kit.ConsulOptions{ACL: true, TLS: true})
	web := kit.FreePort(t)
	server := backend(t, aws, web)
	backend(t, gcp, web)
	yaml := strings.Replace(shop("DIR", web, ""), "    port: 443\n    alpn: [h2]\n", "    single_writer: true\n", 1)
	var all []*process
	var token string
	for i, zone := range []string{"aws/us-east-1", "aws/us-east-1", "gcp/europe-west1", "gcp/europe-west1", "onprem/fra1"} {
		policies := []string{"observer.hcl"}
		if i == 0 {
			policies = append(policies, "operator.hcl")
		}
		p, secret := memberWith(t, c, fmt.Sprint("dns", i+1), zone, yaml, policies...)
		all, token = append(all, p), secret
	}
	each := func(what string, f func(p *process) bool) {
		t.Helper()
		for _, p := range all {
			p.eventually(what, func() bool { return f(p) })
		}
	}
	each("all are heard", func(p *process) bool {
		out, _ := p.resolver("status")
		return strings.Contains(out, "5 observers fresh, agree")
	})
	who := c.Value("detour/main/v1/who/onprem~2Ffra1/dns5")
	all[4].end(syscall.SIGKILL)
	all = all[:4]
	x := newThief(t, c, token)
	if err := kit.Every(100*time.Millisecond, 30*time.Second, func() bool {
		out, err := c.As(token, http.MethodPut, cluster+"who/onprem~2Ffra1/dns5?acquire="+x.session, who)
		return err == nil && strings.Contains(string(out), "true")
	}); err != nil {
		t.Fatal("the dead one's session does not end")
	}
	var known struct {
		Boot string `json:"boot"`
		Seq  uint64 `json:"assigned_seq"`
	}
	if err := json.Unmarshal(who, &known); err != nil {
		t.Fatal(err)
	}
	x.write("op/onprem~2Ffra1/dns5", fmt.Sprintf(`{"boot":%q,"seq":9007199254740991,"assigned_seq":%d,"decision":"all is up"}`, known.Boot, known.Seq), true)
	x.write("use/onprem~2Ffra1/dns5", fmt.Sprintf(`{"boot":%q,"seq":9007199254740991,"as":[{"regions":["aws/us-east-1","gcp/europe-west1"],"used":[1],"out":[0],"returning":[0],"ejections":[999],"services":%q,"ages":[300000000]}]}`,
		known.Boot, serviceID("shop.example.org.")), false)
	x.write("kept/onprem~2Ffra1/dns5/00000000000000000000000000000000", `{"kind":"kept"}`, false)
	x.refused("who/onprem~2Ffra1/dns1", "who/aws~2Fus-east-1/dns5", "op/gcp~2Feurope-west1/dns3", "use/aws~2Fus-east-1/dns1", "use/onprem~2Ffra1/dns6",
		"ctl/override/aws~2Fus-east-1", "ctl/failback/~2A", "ctl/freeze/~2A", "ctl/in_use/shop.example.org.", "kept/aws~2Fus-east-1/dns1/x", "who/dns1")
	each("the liar is heard", func(p *process) bool { out, _ := p.resolver("status"); return strings.Contains(out, "5 observers") })

	stays := func(when string) {
		t.Helper()
		for _, p := range all {
			if at := p.leads(); at != aws {
				t.Errorf("%s: %s moved to %s", when, p.dir, at)
			}
		}
	}
	_ = kit.Every(500*time.Millisecond, 40*time.Second, func() bool { stays("a lie is there"); return t.Failed() })
	for _, p := range all {
		p.end(syscall.SIGTERM)
		if err := os.RemoveAll(filepath.Join(p.dir, "state")); err != nil {
			t.Fatal(err)
		}
		p.serve(p.bin)
		stays("after a restart")
		p.eventually("the others are heard again", func() bool { out, _ := p.resolver("status"); return strings.Contains(out, "5 observers") })
	}
	stays("after all restarts")

	all[0].say(0, "drain of", "drain", "aws/us-east-1", "--reason", "maintenance")
	each("the drain is obeyed", func(p *process) bool { return p.leads() == gcp })
	before := c.Value("detour/main/v1/ctl/override/aws~2Fus-east-1")
	all[0].say(0, "ended: drain of", "undrain", "aws/us-east-1")
	if err := kit.Every(5*time.Millisecond, 10*time.Second, func() bool {
		return string(c.Value("detour/main/v1/ctl/override/aws~2Fus-east-1")) != string(before)
	}); err != nil {
		t.Fatal("no store took the undrain")
	}
	accepted := time.Now()
	for _, p := range all {
		p.eventually("the drain is lifted", func() bool { out, _ := p.resolver("overrides"); return strings.Contains(out, "no overrides") })
	}
	if took := time.Since(accepted); took > 2*time.Second {
		t.Errorf("the undrain holds everywhere %v after its acceptance", took)
	} else {
		t.Logf("the undrain holds everywhere %v after its acceptance", took.Round(time.Millisecond))
	}
	all[0].say(0, "takes its traffic back", "failback", "shop.example.org", "--now", "--reason", "test")
	each("all are back", func(p *process) bool { return p.leads() == aws })

	_ = server.Close()
	each("the region is left although one says that it is up", func(p *process) bool { return p.leads() == gcp })
}

// serviceID is a service's number as Consul holds it.
func serviceID(name string) string {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	raw := make([]byte, 8)
	for i := range raw {
		raw[i] = byte(h >> (56 - 8*i))
	}
	return base64.RawStdEncoding.EncodeToString(raw)
}
