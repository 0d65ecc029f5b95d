package steer

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// digest hashes what the service answers (FNV-1a), so that two resolvers can be
// compared by one number. The random part of TTLs is not in it.
func (st *ServiceState) digest(s *Service) uint64 {
	h := hasher(fnvOffset)
	h.text(s.Name)
	for i := range st.choices {
		ch := &st.choices[i]
		h.number(uint64(len(ch.sets)))
		for j := range ch.sets {
			set := &ch.sets[j]
			h.number(uint64(set.share)<<40 | uint64(set.reason)<<32 | uint64(set.ttl))
			h.list(&set.v4)
			h.list(&set.v6)
		}
		for _, c := range ch.cum {
			h.number(uint64(c))
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

func (h *hasher) number(n uint64) {
	for range 8 {
		h.byte(byte(n))
		n >>= 8
	}
}

func (h *hasher) list(l *list) {
	h.number(uint64(len(l.ips)))
	for i, ip := range l.ips {
		b := ip.As16()
		for _, c := range b {
			h.byte(c)
		}
		if l.weight != nil {
			h.number(uint64(l.weight[i]))
		}
	}
}
