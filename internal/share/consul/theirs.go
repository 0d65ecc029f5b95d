package consul

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/share"
)

// returned is what a verb returned last, so that it returns again only when there
// is news of the world or of the stores.
type returned struct {
	text string          // what it was, in short
	good [][numParts]int // reads of each store by then
	bad  int             // reads of all stores that had failed by then
}

// Theirs implements share.Share. It returns at a change, and otherwise whenever one
// store answered both queries anew, which is within 11 s. It fails as soon as no
// store is read, once for each read that fails. Stores in the Read are filled in
// either way.
func (s *Share) Theirs(ctx context.Context) (share.Read, error) {
	s.hear.start()
	return await(ctx, s, s.theirs)
}

// await calls f, under the lock, after each read until it has something to return.
func await[T any](ctx context.Context, s *Share, f func(now time.Time) (T, bool, error)) (out T, err error) {
	for {
		if s.ctx.Err() != nil {
			return out, errClosed
		}
		s.mu.Lock()
		out, done, err := f(time.Now())
		news := s.news
		s.mu.Unlock()
		if done {
			return out, err
		}
		select {
		case <-news:
		case <-s.ctx.Done():
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
}

// theirs is one look at what was read. The caller holds the lock.
func (s *Share) theirs(now time.Time) (out share.Read, done bool, err error) {
	for _, st := range s.stores {
		out.Stores = append(out.Stores, st.status())
	}
	if !s.healthy(inWho, inOp) {
		done, err = s.failed(&s.said, inWho, inOp)
		return out, done, err
	}
	lives := s.council.merge(s.sightings(now), now)
	text := summary(lives)
	if text == s.said.text && !s.anew(&s.said, inWho, inOp) {
		return out, false, nil
	}
	s.said.text, s.said.good = text, s.reads()
	for _, l := range lives {
		out.Others = append(out.Others, l.aged(now))
	}
	return out, true, nil
}

// sightings returns who is in which store, as far as that was read lately.
func (s *Share) sightings(now time.Time) (out []sighting) {
	for _, st := range s.stores {
		who, op := &st.parts[inWho], &st.parts[inOp]
		if now.Sub(who.at) > lasting || now.Sub(op.at) > lasting {
			continue
		}
		for name, e := range op.entries {
			if w, ok := who.entries[name]; ok && w.who.Boot == e.op.Boot {
				zone, observer, _ := parseMember(name)
				out = append(out, sighting{name, zone, observer, w.who, e.op})
			}
		}
	}
	return out
}

// summary tells one set of opinions from another.
func summary(lives []*life) string {
	var b strings.Builder
	for _, l := range lives {
		fmt.Fprintf(&b, "%s %s %d\n", l.opinion.ID(), l.opinion.Boot, l.seq)
	}
	return b.String()
}

// healthy reports whether the last reads of these parts were good in some store.
func (s *Share) healthy(parts ...int) bool {
	for _, st := range s.stores {
		good := true
		for _, i := range parts {
			good = good && st.parts[i].healthy()
		}
		if good {
			return true
		}
	}
	return false
}

// failed reports whether reads failed that were not yet told of while no store is
// read, and with what. A store of which nothing is known yet may still answer.
func (s *Share) failed(was *returned, parts ...int) (bool, error) {
	var errs []error
	bad := 0
	for _, st := range s.stores {
		var err error
		for _, i := range parts {
			bad += st.parts[i].bad
			if st.parts[i].err != nil {
				err = st.parts[i].err
			}
		}
		if err == nil {
			return false, nil
		}
		errs = append(errs, err)
	}
	if bad == was.bad {
		return false, nil
	}
	was.bad = bad
	return true, errors.Join(errs...)
}

// anew reports whether a store answered all queries for these parts since then.
func (s *Share) anew(was *returned, parts ...int) bool {
	for i, st := range s.stores {
		all := true
		for _, p := range parts {
			all = all && (was.good == nil || st.parts[p].good > was.good[i][p]) && st.parts[p].healthy()
		}
		if all {
			return true
		}
	}
	return false
}

// reads counts the good reads by store and part.
func (s *Share) reads() (out [][numParts]int) {
	for _, st := range s.stores {
		var good [numParts]int
		for i := range good {
			good[i] = st.parts[i].good
		}
		out = append(out, good)
	}
	return out
}
