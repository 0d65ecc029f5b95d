package guard

import "time"

// Shift moves all that is kept of a name in time: somebody set the clock by d, and
// what was seen an hour ago was still seen an hour ago. Within which dates signatures
// are valid stays: these are dates, not ages.
func (n *Name) Shift(d time.Duration) {
	for _, s := range n.stamps() {
		*s = s.Shifted(d)
	}
}

// Shifted returns an instant as Shift moves it: never stays never.
func (s Stamp) Shifted(d time.Duration) Stamp {
	if s == 0 {
		return 0
	}
	return max(s.Add(d), 1)
}

func (n *Name) stamps() []*Stamp {
	all := []*Stamp{&n.Tried, &n.Gone}
	for i := range n.held {
		all = append(all, &n.held[i].at)
	}
	return n.V6.stamps(n.V4.stamps(all))
}

func (k *Kept) stamps(all []*Stamp) []*Stamp {
	all = append(all, &k.Good, &k.Bad, &k.Began, &k.Fresh, &k.Empty)
	for i := range k.Members {
		m := &k.Members[i]
		all = append(all, &m.First, &m.Last, &m.Proved, &m.Own, &m.next, &m.asked, &m.doubted)
	}
	for i := range k.Links {
		all = append(all, &k.Links[i].First)
	}
	if l := k.late; l != nil {
		all = append(all, &l.topped, &l.relieved)
		for _, r := range []*run{&l.odd, &l.well, &l.valid, &l.plain} {
			all = append(all, &r.first, &r.last)
		}
		for i := range l.small {
			all = append(all, &l.small[i])
		}
	}
	return all
}
