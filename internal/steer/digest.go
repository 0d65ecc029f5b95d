package steer

import "encoding/binary"

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// digest hashes what the service answers, so that two resolvers can be compared by
// one number. The random part of TTLs is not in it. Names go by bytes (FNV-1a), all
// else by words: a region's failure hashes every one of its services.
func (st *ServiceState) digest(s *Service) uint64 {
	h := hasher(fnvOffset)
	h.text(s.Name)
	for i := range st.choices {
		ch := &st.choices[i]
		h.number(uint64(len(ch.sets)))
		if ch.nodata {
			h.byte(1)
		}
		for j := range ch.sets {
			set := &ch.sets[j]
			h.number(uint64(set.share)<<40 | uint64(set.reason)<<32 | uint64(set.ttl))
			h.list(&set.v4)
			h.list(&set.v6)
			h.number(uint64(set.sums[0]))
		}
	}
	return mix(uint64(h))
}

type hasher uint64

func (h *hasher) byte(b byte) { *h = (*h ^ hasher(b)) * fnvPrime }

func (h *hasher) text(s string) {
	for i := range len(s) {
		h.byte(s[i])
	}
	h.byte(0)
}

func (h *hasher) number(n uint64) { *h = hasher(mix(uint64(*h) ^ n)) }

func (h *hasher) list(l *list) {
	h.number(uint64(len(l.of)))
	for i := range l.of {
		b := l.of[i].ip.As16()
		h.number(binary.BigEndian.Uint64(b[:8]))
		h.number(binary.BigEndian.Uint64(b[8:]))
		if !l.even {
			h.number(uint64(l.of[i].weight))
		}
	}
}
