package transport

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var closed = promauto.NewCounterVec(prometheus.CounterOpts{
	Namespace: "coredns", Subsystem: "dns", Name: "connections_closed_total",
	Help: "Connections that the server closed: \"full\" when others needed their place, \"unread\" when the client took no reply in time.",
}, []string{"server", "reason"})
