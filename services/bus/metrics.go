// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opsrelay/opsrelay/events"
)

// The results of a publish, as a label.
const (
	resultStored    = "stored"
	resultDuplicate = "duplicate"
	resultConflict  = "conflict"
	resultError     = "error"
)

// otherConsumer stands for the consumers that are not the relay's, as a label.
const otherConsumer = "other"

// metrics are those of this package. Several connections and runners of one
// process may share them; none has a label whose values grow with the requests.
type metrics struct {
	published *prometheus.CounterVec
	connected *prometheus.GaugeVec
	writable  *prometheus.GaugeVec
	handled   *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	inFlight  *prometheus.GaugeVec
	age       *prometheus.HistogramVec
	insisted  *prometheus.CounterVec
	ready     *prometheus.GaugeVec
	dead      *prometheus.CounterVec
}

// newMetrics registers the metrics, or takes those that are registered. A nil
// registerer means that nobody looks at them.
func newMetrics(registerer prometheus.Registerer) *metrics {
	return &metrics{
		published: register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "opsrelay_events_published_total",
			Help: "Facts published, by result: stored, duplicate (ours was there already), conflict (the chain went on without us), error.",
		}, []string{"fact", "result"})),
		connected: register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "opsrelay_nats_connected",
			Help: "Whether the connection to NATS stands.",
		}, []string{"client"})),
		writable: register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "opsrelay_nats_writable",
			Help: "Whether NATS stored what was published last.",
		}, []string{"client"})),
		handled: register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "opsrelay_messages_handled_total",
			Help: "Messages handled, by outcome.",
		}, []string{"consumer", "outcome"})),
		duration: register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "opsrelay_handle_duration_seconds",
			Help:    "How long messages were handled, waits and retries included.",
			Buckets: []float64{.005, .025, .1, .5, 1, 5, 15, 60, 300, 900, 1800, 7200},
		}, []string{"consumer", "outcome"})),
		inFlight: register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "opsrelay_handlers_in_flight",
			Help: "Messages being handled now.",
		}, []string{"consumer"})),
		age: register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "opsrelay_event_age_seconds",
			Help:    "Time from when a message was stored until its handling began for the first time.",
			Buckets: []float64{.001, .005, .025, .1, .5, 1, 5, 15, 60, 300, 1800},
		}, []string{"consumer"})),
		insisted: register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "opsrelay_steps_insisted_total",
			Help: "Permanent failures of steps that have to succeed, which were tried again.",
		}, []string{"consumer"})),
		ready: register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "opsrelay_consumer_ready",
			Help: "Whether this process takes messages of the consumer.",
		}, []string{"consumer"})),
		dead: register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "opsrelay_dead_letters_total",
			Help: "Messages that the broker gave up on, by the consumer that did not get them done; other is none of the relay's.",
		}, []string{"consumer"})),
	}
}

// expect has the series of a consumer begin at zero: the increase of a series that
// begins at one is seen by nobody.
func (m *metrics) expect(consumer string) {
	m.inFlight.WithLabelValues(consumer).Add(0)
	m.insisted.WithLabelValues(consumer).Add(0)
	m.handled.WithLabelValues(consumer, string(outcomeForeign)).Add(0)
	if consumer != events.DeadLetterConsumer.Name {
		return
	}
	for _, c := range events.Consumers() {
		m.dead.WithLabelValues(c.Name).Add(0)
	}
	m.dead.WithLabelValues(otherConsumer).Add(0)
}

// gaveUp counts a message that the broker gave up on. A third party may name its
// consumers as it likes, and as many as it likes.
func (m *metrics) gaveUp(consumer string) {
	if !slices.ContainsFunc(events.Consumers(), func(c events.Consumer) bool { return c.Name == consumer }) {
		consumer = otherConsumer
	}
	m.dead.WithLabelValues(consumer).Inc()
}

func register[C prometheus.Collector](registerer prometheus.Registerer, collector C) C {
	if registerer == nil {
		return collector
	}
	var registered prometheus.AlreadyRegisteredError
	if err := registerer.Register(collector); errors.As(err, &registered) {
		if existing, ok := registered.ExistingCollector.(C); ok {
			return existing
		}
	}
	return collector
}

// metricsIn returns the metrics of a part of this connection's work. A
// connection without a registerer takes that of its first part.
func (b *Bus) metricsIn(registerer prometheus.Registerer) *metrics {
	if registerer == nil {
		return b.metrics.Load()
	}
	m := newMetrics(registerer)
	if b.measured.CompareAndSwap(false, true) {
		b.metrics.Store(m)
		if b.conn.IsConnected() {
			b.tellConnected(1)
			b.tellWritable()
		}
	}
	return m
}
