package steer

// Change is a service that is answered from other pools than before.
type Change struct {
	Service  int32
	From, To uint64 // bit per pool
	WasFixed bool   // From was none: the addresses of its last resort
}

// note notes what became of service i since the previous snapshot, if there was
// one of the same plan.
func (s *Snapshot) note(i int32, old, st *ServiceState) {
	if old == nil {
		return
	}
	svc := &s.Plan.Services[i]
	if from, to := s.answered(i, old), s.answered(i, st); from != to || old.Fixed != st.Fixed {
		s.Changes = append(s.Changes, Change{i, from, to, old.Fixed})
	}
	if svc.Observe && old.Would != st.Would {
		s.Would = append(s.Would, Change{Service: i, From: old.Would, To: st.Would})
	}
}

// Answered returns the pools that clients outside any ramp are answered from, a
// bit for each. Of a service of which no address is known yet it is what will be
// answered from once there is one: that names are looked up is no move.
func (s *Snapshot) Answered(service int32) uint64 {
	return s.answered(service, s.State(service))
}

func (s *Snapshot) answered(i int32, st *ServiceState) uint64 {
	switch bare := len(st.choices) > 0 && st.choices[0].bare; {
	case bare && s.Plan.Services[i].Observe:
		return s.Plan.usual[i]
	case bare:
		return st.Memory.Used
	}
	return st.From
}
