package consul

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
)

func opinion(n int) share.Opinion {
	o := share.Opinion{Observer: "a", Boot: "B7", Zone: "eu", Version: "1.2", Plan: "p", Decision: "d", Buckets: make([]uint32, 64)}
	for range n {
		o.Judged = append(o.Judged, share.Judged{
			ID: rand.Uint64(), Verdict: health.Down, Cause: health.CauseTimeout, Age: 123 * time.Second,
		})
	}
	return o
}

// TestSizes keeps what a region's failure makes all observers read of all others
// small: the figures are those of the package's documentation.
func TestSizes(t *testing.T) {
	var w wanted
	sizes := func(o share.Opinion) (who, op int, cut bool) {
		t.Helper()
		cut, err := w.take(o, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		v := w.values(keys{}, "eu", "a", time.Now())
		return len(v["who/eu/a"].bytes), len(v["op/eu/a"].bytes), cut
	}
	for _, c := range []struct{ judged, most int }{{0, 100}, {500, 12_000}, {3000, maxOp}} {
		if whoSize, n, cut := sizes(opinion(c.judged)); n > c.most || cut || whoSize > 1000 {
			t.Errorf("%d verdicts take %d bytes (cut: %v), want %d at most; the rest takes %d", c.judged, n, cut, c.most, whoSize)
		} else {
			t.Logf("%d verdicts take %d bytes, the rest %d", c.judged, n, whoSize)
		}
	}
	if _, n, cut := sizes(opinion(10_000)); !cut || !w.op.Braked || n > 200 {
		t.Errorf("10,000 verdicts: %d bytes, cut %v, voice %v; want none of them, and no voice", n, cut, !w.op.Braked)
	}
	o := opinion(0)
	o.Assigned = make([][]byte, 64)
	for i := range o.Assigned {
		o.Assigned[i] = make([]byte, 10_000/64/8+1)
	}
	if n, _, _ := sizes(o); n > 3000 {
		t.Errorf("10,000 checks of which some are assigned take %d bytes", n)
	} else {
		t.Logf("10,000 checks of which some are assigned take %d bytes", n)
	}
	o.Assigned[0] = make([]byte, maxWho)
	if _, err := w.take(o, time.Now()); err == nil {
		t.Error("more assigned checks than fit were taken")
	}
}

// TestOnlyChangesCount proves that what did not change is not written: neither an
// older verdict nor another order of verdicts is a change.
func TestOnlyChangesCount(t *testing.T) {
	var w wanted
	take := func(o share.Opinion, seq, assigned uint64) {
		t.Helper()
		if _, err := w.take(o, time.Now()); err != nil {
			t.Fatal(err)
		}
		if w.op.Seq != seq || w.op.AssignedSeq != assigned || w.who.AssignedSeq != assigned {
			t.Errorf("seq %d, assigned_seq %d and %d; want %d and %d", w.op.Seq, w.op.AssignedSeq, w.who.AssignedSeq, seq, assigned)
		}
	}
	o := opinion(3)
	take(o, 1, 1)
	o.Judged[0].Age += time.Hour
	o.Judged[0], o.Judged[2] = o.Judged[2], o.Judged[0]
	take(o, 1, 1)
	o.Judged[0].Cause = health.CauseRefused
	take(o, 2, 1)
	o.Assigned = [][]byte{{0}, {}}
	take(o, 3, 2)
	o.Assigned = [][]byte{{1}, {}}
	take(o, 4, 3)
	o.Assigned = [][]byte{{1}, nil}
	take(o, 4, 3)
	o.Plan = "other"
	take(o, 5, 4)
	o.Buckets = slices.Clone(o.Buckets)
	take(o, 5, 4)
	o.Buckets[63]++
	take(o, 6, 5)
	if _, err := w.take(share.Opinion{Observer: "a"}, time.Now()); err == nil {
		t.Error("an opinion without a boot was taken")
	}
}

// TestRoundTrip proves that others read what was published, and how old verdicts
// are when they are written late.
func TestRoundTrip(t *testing.T) {
	o := share.Opinion{
		Observer: "a", Boot: "B7", Zone: "eu", Version: "1.2", Plan: "p", Decision: "d", Buckets: []uint32{0, 1, 1<<32 - 1}, Braked: true, Assigned: [][]byte{{3, 255}, {}, {0}},
		Judged: []share.Judged{{ID: 4}, {ID: 2, Verdict: health.Down, Cause: health.CauseTLSName, Age: 5 * time.Second}},
		Summed: []share.Summed{
			{Region: "aws/us-east-1", Cause: health.CauseTimeout, Except: []uint64{9}}, {Region: "gcp/x", Cause: health.CauseRefused, Except: []uint64{}},
		},
	}
	var w wanted
	at := time.Now()
	if _, err := w.take(o, at); err != nil {
		t.Fatal(err)
	}
	v := w.values(keys{}, "eu", "a", at.Add(time.Minute))
	whoThen, err := decodeWho(v["who/eu/a"].bytes)
	if err != nil {
		t.Fatal(err)
	}
	opThen, err := decodeOp(v["op/eu/a"].bytes)
	if err != nil {
		t.Fatal(err)
	}
	o.Judged[0].Age += time.Minute
	o.Judged[1].Age += time.Minute
	if got := join("eu", "a", &whoThen, &opThen); !reflect.DeepEqual(got, o) {
		t.Errorf("read\n%+v, want\n%+v", got, o)
	}
	if w.op.Judged[1].Ages[0] != 5 {
		t.Error("writing made what is wanted older")
	}
}

func TestHostileValues(t *testing.T) {
	for _, c := range []struct {
		which      int
		name, text string
	}{
		{inWho, "eu/a", `{`},
		{inWho, "eu/a", `null`},
		{inWho, "eu/a", `{"zone":"no boot"}`},
		{inWho, "eu/a", `{"boot":"b","assigned":"A"}`},
		{inWho, "eu/a", `{"boot":"b","assigned":"AA.AB"}`},
		{inWho, "eu/a", `{"boot":"b","assigned":"AA,AA"}`},
		{inWho, "eu/a", `{"boot":"b","assigned":["AA"]}`},
		{inWho, "eu/a", `{"boot":"b","assigned":"` + strings.Repeat(".", maxDigests) + `"}`},
		{inWho, "eu/a", `{"boot":"b","buckets":"0011223"}`},
		{inWho, "eu/a", `{"boot":"b","buckets":"001122"}`},
		{inWho, "eu/a", `{"boot":"b","buckets":"0x112233"}`},
		{inWho, "eu/a", `{"boot":"b","buckets":[1]}`},
		{inWho, "eu/a", `{"boot":"b","buckets":{}}`},
		{inWho, "eu/a", `{"boot":"b","buckets":"` + strings.Repeat("00112233", maxDigests+1) + `"}`},
		{inWho, "eu/a", `{"boot":"b","pad":"` + strings.Repeat(" ", maxWho) + `"}`},
		{inWho, "a", `{"boot":"b"}`},
		{inWho, "a/b/c", `{"boot":"b"}`},
		{inWho, "/b", `{"boot":"b"}`},
		{inWho, "~1B~5B2J/b", `{"boot":"b"}`},
		{inWho, "aws/x/b", `{"boot":"b"}`},
		{inUse, "eu/a", `{"boot":""}`},
		{inUse, "eu/a", `{"boot":"b","as":[{"regions":["r"],"used":[1],"services":""}]}`},
		{inUse, "eu/a", `{"boot":"b","as":[{"regions":["r"],"used":[-1],"services":""}]}`},
		{inUse, "eu/a", `{"boot":"b","as":[{"regions":["r"],"used":[0,0,0],"services":""}]}`},
		{inUse, "eu/a", `{"boot":"b","as":[{"regions":[""],"services":""}]}`},
		{inUse, "eu/a", `{"boot":"b","as":[{"regions":["\u001b[2J"],"services":""}]}`},
		{inUse, "eu/a", `{"boot":"b","as":[{"regions":["r"],"returning":[0],"services":"AAAAAAAAAAE","ages":[1]}]}`},
		{inUse, "eu/a", `{"boot":"b","as":[{"regions":["r"],"returning":[0],"ejections":[1],"services":"AAAAAAAAAAE"}]}`},
		{inUse, "eu/a", `{"boot":"b","as":[{"regions":["r"],"returning":[0],"ejections":[1],"services":"AAAAAAAAAAE","ages":[-1]}]}`},
		{inUse, "eu/a", `{"boot":"b","as":[{"regions":["r"],"returning":[0],"ejections":[1000000],"services":"AAAAAAAAAAE","ages":[1]}]}`},
		{inCtl, "in_use/x", `{"kind":"in_use","target":"x","version":{"n":1,"writer":"w"}}`},
		{inWho, "", `{"boot":"b"}`},
		{inOp, "eu/a", `{"boot":"b","seq":-1}`},
		{inOp, "eu/a", `{"boot":"b","judged":[{"verdict":"up","checks":"","ages":[]}]}`},
		{inOp, "eu/a", `{"boot":"b","judged":[{"verdict":"down","checks":"AAAAAAAAAAE","ages":[]}]}`},
		{inOp, "eu/a", `{"boot":"b","judged":[{"verdict":"down","checks":"AAAAAAAAAAE","ages":[-1]}]}`},
		{inOp, "eu/a", `{"boot":"b","judged":[{"verdict":"down","checks":"AAAAAAAAAAE","ages":[9000000000]}]}`},
		{inOp, "eu/a", `{"boot":"b","summed":[{"region":""}]}`},
		{inOp, "eu/a", `{"boot":"b","pad":"` + strings.Repeat(" ", maxOp) + `"}`},
		{inCtl, "freeze/x", `{"kind":"freeze","target":"y","version":{"n":1,"writer":"w"}}`},
		{inCtl, "freeze/x", `{"kind":"freeze","target":"x","version":{"n":0,"writer":"w"}}`},
		{inCtl, "freeze/x", `{"kind":"freeze","target":"x","version":{"n":18446744073709551615,"writer":"w"}}`},
		{inCtl, "freeze/x", `{"kind":"freeze","target":"x","version":{"n":1}}`},
		{inCtl, "freeze/x", `{"kind":"freeze","target":"x","version":{"n":1,"writer":"w"},"ttl":-1}`},
		{inCtl, "freeze/x", `{"kind":"freeze","target":"x","version":{"n":1,"writer":"w","over":true},"ttl":1}`},
		{inCtl, "reboot/x", `{"kind":"reboot","target":"x","version":{"n":1,"writer":"w"}}`},
		{inCtl, "freeze/x", `{"kind":"freeze","target":"x","version":{"n":1,"writer":"w"},"value":{"Reason":"\u001b[2J"}}`},
		{inCtl, "override/x", `{"kind":"override","target":"x","version":{"n":1,"writer":"w"},"value":{"Owner":"a\nb"}}`},
		{inCtl, "override/x", `{"kind":"override","target":"x","version":{"n":1,"writer":"w"},"value":{"Owner":"a\u202eb"}}`},
		{inCtl, "freeze", `{"kind":"freeze","target":"","version":{"n":1,"writer":"w"}}`},
		{inCtl, "freeze/~78", `{"kind":"freeze","target":"x","version":{"n":1,"writer":"w"}}`},
	} {
		if _, ok := decodeEntry(c.which, c.name, []byte(c.text)); ok {
			t.Errorf("%s%s: %.100s was believed", prefixes[c.which], c.name, c.text)
		}
	}
	for _, c := range []struct {
		which      int
		name, text string
	}{
		{inWho, "eu/a", `{"boot":"b","from_a_newer_version":[1]}`},
		{inWho, "eu/a", `{"boot":"b","buckets":"` + strings.Repeat("00112233", maxDigests) + `"}`},
		{inWho, "eu/a", `{"boot":"b","buckets":null}`},
		{inWho, "eu/a", `{"boot":"b","buckets":""}`},
		{inOp, "eu/a", `{"boot":"b","judged":[{"verdict":"down","cause":"from_a_newer_version","checks":"AAAAAAAAAAE","ages":[1]}]}`},
		{inCtl, "freeze/x", `{"kind":"freeze","target":"x","version":{"n":1,"writer":"w"}}`},
		{inCtl, "freeze/x", `{"kind":"freeze","target":"x","version":{"n":1,"writer":"w","over":true},"ttl":1,"deleted":true}`},
		{inCtl, "override/x", `{"kind":"override","target":"x","version":{"n":1,"writer":"w"},"value":{"Owner":"山田"}}`},
		{inCtl, "failback/~2E.~2Fx", `{"kind":"failback","target":"../x","version":{"n":1,"writer":"w"}}`},
		{inUse, "~/a", `{"boot":"b","seq":1}`},
		{inUse, "aws~2Fx/a", `{"boot":"b","seq":1,"as":[{"regions":["r"],"used":[0],"out":[0],"returning":[0],"ejections":[2],"services":"AAAAAAAAAAE","ages":[5]}]}`},
	} {
		if _, ok := decodeEntry(c.which, c.name, []byte(c.text)); !ok {
			t.Errorf("%s%s: %s was not believed", prefixes[c.which], c.name, c.text)
		}
	}
}

func TestEscape(t *testing.T) {
	for target, want := range map[string]string{
		"api.example.com": "api.example.com", "aws/us-east-1": "aws~2Fus-east-1", "..": "~2E.", "*": "~2A", "é ~": "~C3~A9~20~7E", ".": "~2E",
	} {
		name := recordName(share.Override, target)
		if name != "override/"+want {
			t.Errorf("%q is stored as %s, want %s", target, name, want)
		}
		if kind, got, ok := parseRecord(name); kind != share.Override || got != target || !ok {
			t.Errorf("%s is read as %s %q %v", name, kind, got, ok)
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, bad := range []string{"~", "~2", "~2f", "~78", "~zz", ".x", "a~", "*", "a~2G"} {
		if target, ok := unescape(bad); ok {
			t.Errorf("%q is read as %q", bad, target)
		}
	}
}

// FuzzDecode feeds values that anybody may have written. What is believed must be
// possible to write again, and then mean the same.
func FuzzDecode(f *testing.F) {
	var w wanted
	o := opinion(2)
	o.Assigned, o.Summed = [][]byte{{1}, {}}, []share.Summed{{Region: "aws/x", Cause: health.CauseStatus, Except: []uint64{2}}}
	if _, err := w.take(o, time.Now()); err != nil {
		f.Fatal(err)
	}
	v := w.values(keys{}, "eu", "a", time.Now())
	f.Add(inWho, "eu/a", v["who/eu/a"].bytes)
	f.Add(inOp, "eu/a", v["op/eu/a"].bytes)
	f.Add(inCtl, "freeze/~2A", []byte(`{"kind":"freeze","target":"*","version":{"n":7,"writer":"w"},"made":"2026-01-02T03:04:05Z","ttl":60,"deleted":true,"value":{"a":[1]}}`))
	f.Add(inOp, "eu/a", []byte(`{"boot":"b","judged":[{"checks":"AAAAAAAAAAE=","ages":[1e99]}]}`))
	f.Add(inWho, "eu/a", []byte(`{"boot":"b","buckets":"00112233AAbbccDD","assigned":"AAE.AA../w"}`))
	f.Add(inWho, "eu/a", []byte(`{"boot":"b","buckets":"0011223"}`))
	f.Add(inUse, "eu/a", []byte(`{"boot":"b","seq":1,"as":[{"regions":["r","s"],"used":[0],"out":[1],"returning":[1],"ejections":[2],"services":"AAAAAAAAAAE","ages":[5]}]}`))
	f.Add(inWho, "-", []byte(strings.Repeat("[", 10_000)))
	f.Fuzz(func(t *testing.T, which int, name string, raw []byte) {
		which &= 3
		e, ok := decodeEntry(which, name, raw)
		if !ok {
			return
		}
		switch {
		case e.use != nil:
			u := e.use.ungroup("eu", "a")
			if again := groupUse(&u); len(raw) < maxUse/8 && fmt.Sprint(again.ungroup("eu", "a")) != fmt.Sprint(u) {
				t.Errorf("%+v is written as %+v", u, again)
			}
		case e.record != nil:
			if _, err := encodeRecord(e.record); err != nil && len(raw) < maxRecord/8 {
				t.Errorf("a record that was read cannot be written: %v", err)
			}
		case e.op != nil:
			join("eu", name, &who{Boot: e.op.Boot}, e.op)
			again, _ := json.Marshal(e.op)
			got, err := decodeOp(again)
			if text, _ := json.Marshal(got); len(again) < maxOp && (err != nil || !bytes.Equal(text, again)) {
				t.Errorf("%s is read as %s, %v", again, text, err)
			}
		default:
			again, _ := json.Marshal(e.who)
			got, err := decodeWho(again)
			if text, _ := json.Marshal(got); len(again) < maxWho && (err != nil || !bytes.Equal(text, again)) {
				t.Errorf("%s is read as %s, %v", again, text, err)
			}
		}
	})
}
