package prober

import "errors"

func newICMP(Spec, *dialer) (kind, error) { return nil, errors.New("type icmp is not built yet") }
