package failover

import (
	"runtime/debug"
	"sync/atomic"

	"github.com/detour-dns/detour/internal/files"
)

// A door lets questions through to where they wait for other servers, as many as
// there is room for. It is one for all server blocks that have one engine.
//
// Half of the room is for whoever comes first. When it is taken, a zone that has its
// share gets no more, so that questions for names below one whose servers are silent
// leave places to all others. A zone is the end of a name, of 2 to 5 labels: the
// longest one that explains why there are so many (hierarchical heavy hitters;
// Cormode and others, VLDB 2003). Where the servers of us-east-1.example.com are
// silent, questions below eu-west-1.example.com are not refused for their neighbors.
type door struct {
	room    int64
	waiting atomic.Int64
	refused atomic.Uint64
	full    atomic.Pointer[string]   // the zone that had its share when one was refused last
	seen    atomic.Pointer[overload] // of what is refused, a second ago
	zones   [maxLabels + 1][zoneSlots]atomic.Int32
}

// Bounds of what is a zone, and in how many slots they are counted, by hash. Two
// that fall together have one share.
const (
	minLabels = 2
	maxLabels = 5
	zoneSlots = 512
)

// Bounds of how many questions may wait. One holds a goroutine with its stack, its
// buffers and a socket: 25 kB, as measured with a chain of errors, prometheus,
// failover, cache and forward. 4,096 are 80,000 questions a second that take 50 ms
// each.
const (
	maxRoom  = 4096
	minRoom  = 64
	perPlace = 25 << 10 // bytes
)

// newDoor returns a door with the room that a process with so much memory in bytes,
// and so many open files, has for waiting: a quarter of either, at most.
func newDoor(memory, files uint64) *door {
	room := min(memory/4/perPlace, files/4, maxRoom)
	return &door{room: int64(max(room, minRoom))}
}

// limits are those of this process. The memory is the runtime's limit, which the
// container's is the source of; without one it is as good as endless.
func limits() (memory, open uint64) {
	return uint64(debug.SetMemoryLimit(-1)), uint64(files.MostOpen())
}

// place is where a question that waits is counted.
type place struct {
	zones [maxLabels + 1]*atomic.Int32
	held  int
}

// enter lets a question for a name in, and reports false if there is no room for it.
// Who is let in leaves.
func (d *door) enter(name string) (p place, ok bool) {
	n := d.waiting.Add(1)
	if n <= d.room {
		zone, ok := d.take(&p, name, n > d.room/2)
		if ok {
			return p, true
		}
		full := zone
		d.full.Store(&full)
	}
	d.leave(&p)
	d.refused.Add(1)
	return place{}, false
}

// take counts a question in its zones, the longest first. One that has many already
// does not count in the shorter ones: it says nothing of its neighbors. In a crowd
// it returns false, and the zone whose share is taken.
func (d *door) take(p *place, name string, crowd bool) (zone string, ok bool) {
	share := max(int32(d.room/16), 1)
	var ends [maxLabels + 1]end
	for labels := endsOf(name, &ends); labels >= minLabels; labels-- {
		c := &d.zones[labels][ends[labels].hash%zoneSlots]
		n := c.Add(1)
		p.zones[p.held] = c
		p.held++
		if crowd && n > share {
			return name[ends[labels].at:], false
		}
		if n > max(share/16, 1) {
			break
		}
	}
	return "", true
}

// leave gives the place back.
func (d *door) leave(p *place) {
	for _, c := range p.zones[:p.held] {
		c.Add(-1)
	}
	d.waiting.Add(-1)
}

// end is where the last labels of a name begin, and their hash.
type end struct {
	at   int
	hash uint32
}

// endsOf fills in the ends of a name by their number of labels, and returns the
// largest number it has, at most maxLabels. Letters of either case are the same (RFC
// 4343). That a dot may be escaped does not matter here.
func endsOf(name string, ends *[maxLabels + 1]end) (labels int) {
	const offset, prime = 2166136261, 16777619 // FNV-1a
	hash := uint32(offset)
	for i := len(name) - 2; i >= 0; i-- {
		hash = (hash ^ uint32(name[i]|0x20)) * prime
		if i > 0 && name[i-1] != '.' {
			continue
		}
		labels++
		ends[labels] = end{i, hash}
		if labels == maxLabels {
			break
		}
	}
	return labels
}
