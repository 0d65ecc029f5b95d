package failover

// Ready implements the ready plugin's Readiness: every check has settled, or
// has had ten seconds to.
func (f *Failover) Ready() bool {
	e := f.shared.engine()
	return e != nil && e.Ready()
}
