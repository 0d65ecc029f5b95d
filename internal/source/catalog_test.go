package source

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

func at(addr, region string, weight int, s Status) Instance {
	return Instance{Addr: netip.MustParseAddr(addr), Region: region, Weight: weight, Status: s}
}

func TestMergeMakesOneEndpointOfAnAddress(t *testing.T) {
	in := []Instance{
		at("192.0.2.2", "a/b", 1, Passing),
		at("192.0.2.1", "a/b", 2, Critical),
		at("192.0.2.1", "c/d", 3, Warning),
		at("192.0.2.1", "a/b", 4, Gone),
		at("192.0.2.3", "a/b", 4, Gone),
		at("192.0.2.3", "c/d", 3, Critical),
	}
	got, left := Merge(in)
	want := []Instance{at("192.0.2.1", "a/b", 3, Warning), at("192.0.2.2", "a/b", 1, Passing), at("192.0.2.3", "c/d", 3, Critical)}
	if left != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if in[0].Addr.String() != "192.0.2.2" {
		t.Error("what was given was sorted in place")
	}
}

func TestMergeBoundsAddresses(t *testing.T) {
	var in []Instance
	for i := range MaxInstances + 7 {
		in = append(in, at(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String(), "a/b", 1, Passing))
	}
	slices.Reverse(in)
	got, left := Merge(in)
	if len(got) != MaxInstances || left != 7 || got[0].Addr.String() != "10.1.0.0" {
		t.Errorf("%d instances, %d left out, first %v", len(got), left, got[0].Addr)
	}
}

func TestFind(t *testing.T) {
	list, _ := Merge([]Instance{at("2001:db8::1", "a/b", 1, Passing), at("192.0.2.2", "a/b", 1, Critical), at("192.0.2.1", "a/b", 1, Passing)})
	e := Entry{Instances: list}
	if i, ok := e.Find(netip.MustParseAddr("192.0.2.2")); !ok || i.Status != Critical {
		t.Errorf("found %v, %v", i, ok)
	}
	if _, ok := e.Find(netip.MustParseAddr("192.0.2.3")); ok {
		t.Error("found what is not there")
	}
}

func TestSame(t *testing.T) {
	a := Entry{Instances: []Instance{at("192.0.2.1", "a/b", 1, Passing)}}
	for name, c := range map[string]struct {
		of             Instance
		places, status bool
	}{
		"the same":       {at("192.0.2.1", "a/b", 1, Passing), true, true},
		"another status": {at("192.0.2.1", "a/b", 1, Critical), true, false},
		"another weight": {at("192.0.2.1", "a/b", 2, Passing), false, true},
		"another region": {at("192.0.2.1", "c/d", 1, Passing), false, true},
		"other address":  {at("192.0.2.2", "a/b", 1, Passing), false, false},
	} {
		b := Entry{Instances: []Instance{c.of}, Read: map[string]time.Time{"": time.Unix(1, 0)}}
		if p, s := a.SamePlaces(b), a.SameStatus(b); p != c.places || s != c.status {
			t.Errorf("%s: same places %v, status %v; want %v, %v", name, p, s, c.places, c.status)
		}
	}
}

// TestCatalogSurvivesARestart: what is kept as JSON comes back, a status of a
// newer version counts as the worst.
func TestCatalogSurvivesARestart(t *testing.T) {
	c := Catalog(nil).With("web.", Entry{Instances: []Instance{at("192.0.2.1", "a/b", 3, Critical)}, Read: map[string]time.Time{"dc1": time.Unix(1e9, 0).UTC()}})
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Catalog
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("%s comes back as %v: %v", data, back, err)
	}
	if newer := at("192.0.2.1", "a/b", 1, "resting"); newer.Listed() {
		t.Error("a status that a newer version kept counts as one of the catalog's")
	}
	if _, ok := c.With("db.", Entry{})["db."]; !ok || len(c) != 1 {
		t.Error("With changed the catalog in place")
	}
}

func TestAgeOfAnEntry(t *testing.T) {
	now := time.Unix(1e9, 0)
	e := Entry{Read: map[string]time.Time{"dc1": now, "dc2": now.Add(-Fresh - 1)}}
	if !e.At().Equal(now.Add(-Fresh-1)) || !(Entry{}).At().IsZero() {
		t.Errorf("at %v", e.At())
	}
	for datacenter, want := range map[string]bool{"dc1": true, "dc2": false, "dc3": false} {
		if got := e.Current(datacenter, now); got != want {
			t.Errorf("%s is current: %v, want %v", datacenter, got, want)
		}
	}
	e.Read["dc3"] = time.Time{}
	if !e.At().IsZero() {
		t.Error("a datacenter that never answered is left out")
	}
}

// TestBound holds that no address weighs more than ten times the median address, whether it
// has many instances or a heavy one, and that of two the lighter one is the measure.
func TestBound(t *testing.T) {
	for name, c := range map[string]struct {
		in   []Instance
		want []int
		cut  int
	}{
		"one alone":       {[]Instance{at("192.0.2.1", "a/b", 65535, Passing)}, []int{65535}, 0},
		"one of two":      {[]Instance{at("192.0.2.1", "a/b", 1, Passing), at("192.0.2.2", "a/b", 65535, Passing)}, []int{1, 10}, 1},
		"many at one":     {append(slices.Repeat([]Instance{at("192.0.2.1", "a/b", 9, Passing)}, 10), at("192.0.2.2", "a/b", 1, Passing), at("192.0.2.3", "a/b", 1, Passing)), []int{10, 1, 1}, 1},
		"as they differ":  {[]Instance{at("192.0.2.1", "a/b", 5, Passing), at("192.0.2.2", "a/b", 50, Passing)}, []int{5, 50}, 0},
		"the gone do not": {[]Instance{at("192.0.2.1", "a/b", 99, Gone), at("192.0.2.2", "a/b", 1, Passing), at("192.0.2.3", "a/b", 60, Passing)}, []int{10, 1, 10}, 2},
		"none":            {nil, nil, 0},
	} {
		list, _ := Merge(c.in)
		cut := Bound(list)
		var got []int
		for i := range list {
			got = append(got, list[i].Weight)
		}
		if cut != c.cut || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %d cut; want %v, %d", name, got, cut, c.want, c.cut)
		}
	}
}

// TestPortsStayInBounds holds that an address with a hundred thousand ports has eight, and
// that to find them takes no time that grows with their square.
func TestPortsStayInBounds(t *testing.T) {
	var in []Instance
	for i := range 65_535 {
		x := at("192.0.2.1", "a/b", 1, Passing)
		x.Ports = []Port{{Number: uint16(65_535 - i), Weight: 1}}
		in = append(in, x)
	}
	got, _ := Merge(in)
	if len(got) != 1 || len(got[0].Ports) != MaxPorts || got[0].Ports[0].Number != 1 || got[0].Ports[7].Number != 8 {
		t.Errorf("%+v", got)
	}
}
