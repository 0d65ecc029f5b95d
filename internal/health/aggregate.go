package health

import "time"

// View is what steering needs to know of a check, an address or an endpoint.
type View struct {
	Verdict    Verdict
	Since      time.Time
	Cause      Cause // of Down
	WasUp      bool  // has ever been Up
	WasDown    bool  // Unknown: last seen Down
	Confirming bool  // a change is being confirmed
	Elsewhere  bool  // Down by one observer only: from here while others say Up, or see Lone
	Outvoted   bool  // with Elsewhere: most others say Up, and not only one of two
	Lone       bool  // with Elsewhere: no verdict here, and one other observer that speaks, which says Down, or for long Up
	Ejected    Ejections
}

// View returns s as steering sees it.
func (s *State) View() View {
	return View{
		Verdict: s.Verdict, Since: s.Since, Cause: s.Cause,
		WasUp: s.WasUp, WasDown: s.WasDown, Confirming: s.Confirming(),
		Ejected: s.Ejected,
	}
}

// Worst combines the checks of one address: the worse verdict, and of two that
// are Down the darker cause. An address is Up since its last check came Up.
func Worst(a, b View) View {
	w, o := a, b
	if Worse(b, a) {
		w, o = b, a
	}
	if w.Verdict == o.Verdict && o.Since.After(w.Since) && w.Verdict == Up {
		w.Since = o.Since
	}
	w.Confirming = a.Confirming || b.Confirming
	w.WasUp = a.WasUp && b.WasUp
	w.Ejected = merged(a.Ejected, b.Ejected)
	return w
}

// Best combines the addresses of one endpoint that is a name: it is Up while
// any of them is, and since the first of those is: one that comes back does not make
// the endpoint new.
func Best(a, b View) View {
	if Worse(a, b) || a.Verdict == Up && b.Verdict == Up && b.Since.Before(a.Since) {
		return b
	}
	return a
}

// Worse orders views: Up, Unknown, Unknown that was Down or Down against most others, Down
// from here only, Down sick, Down dark.
func Worse(a, b View) bool { return rank(a) > rank(b) }

func rank(v View) int {
	switch {
	case v.Verdict == Up:
		return 0
	case v.Verdict == Unknown && !v.WasDown:
		return 1
	case v.Verdict == Unknown || v.Elsewhere && v.Outvoted:
		return 2
	case v.Elsewhere:
		return 3
	case !v.Cause.Dark():
		return 4
	}
	return 5
}
