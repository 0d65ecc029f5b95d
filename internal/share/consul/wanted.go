package consul

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/share"
)

// fitOp is how large an opinion may be when it is published: where a store was away
// for long, the ages in it have more digits when it is written there.
const fitOp = maxOp / 4 * 3

// wanted is what the stores are to hold of this observer.
type wanted struct {
	any  bool // something was published
	who  who
	op   op
	at   time.Time // when op was published: its ages are of then
	mark [2][]byte // who and op as they were published, without what counts or ages
}

// take makes o what is wanted. It reports whether o was too large to be told: an
// observer must not seem to hold Up what it had no room for, so this one has no
// voice then.
func (w *wanted) take(o share.Opinion, now time.Time) (cut bool, err error) {
	if o.Boot == "" || !plain(o.Boot, o.Zone, o.Version, o.Plan, o.Decision) || len(o.Buckets) > maxDigests {
		return false, errors.New("opinion without a boot, or with more than short plain words and digests in it")
	}
	nextWho, nextOp := split(&o)
	body, err := json.Marshal(nextOp)
	if err != nil {
		return false, err
	}
	if cut = len(body) > fitOp; cut {
		nextOp.Braked, nextOp.Judged, nextOp.Summed = true, nil, nil
	}
	mark, err := marks(nextWho, nextOp)
	if err != nil {
		return false, err
	}
	if w.any && bytes.Equal(mark[0], w.mark[0]) && bytes.Equal(mark[1], w.mark[1]) {
		return false, nil
	}
	nextWho.AssignedSeq, nextOp.Seq = w.who.AssignedSeq, w.op.Seq+1
	if !bytes.Equal(mark[0], w.mark[0]) {
		nextWho.AssignedSeq++
	}
	nextOp.AssignedSeq = nextWho.AssignedSeq
	*w = wanted{true, nextWho, nextOp, now, mark}
	return cut, nil
}

// marks returns what tells one opinion from the next.
func marks(w who, p op) (out [2][]byte, err error) {
	p.Judged = slices.Clone(p.Judged)
	for i := range p.Judged {
		p.Judged[i].Ages = nil
	}
	if out[0], err = json.Marshal(w); err == nil {
		out[1], err = json.Marshal(p)
	}
	if len(out[0]) > maxWho-100 {
		err = fmt.Errorf("%d bytes of what is probed here are too many to be told to others", len(out[0]))
	}
	return out, err
}

// value is what a key is to hold. Its bytes say how old verdicts are, so that only
// the version tells whether it is another one.
type value struct {
	version uint64
	bytes   []byte
}

// values returns what the keys of an observer are to hold now.
func (w *wanted) values(k keys, zone, observer string, now time.Time) map[string]value {
	p := w.op
	p.Judged = slices.Clone(p.Judged)
	for i, g := range p.Judged {
		p.Judged[i].Ages = slices.Clone(g.Ages)
		for j := range g.Ages {
			p.Judged[i].Ages[j] += int64(now.Sub(w.at) / time.Second)
		}
	}
	who, _ := json.Marshal(w.who)
	op, _ := json.Marshal(p)
	return map[string]value{k.who(zone, observer): {w.who.AssignedSeq, who}, k.op(zone, observer): {w.op.Seq, op}}
}
