// Package metrics counts what the server does, for Prometheus.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the counters of one server.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
	objects  *prometheus.CounterVec
}

// New makes counters that start at zero.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "comity_requests_total", Help: "Requests answered."}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "comity_request_seconds", Help: "Time from the request line to the last octet of the answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9)}, []string{"route", "method"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "comity_response_bytes_total", Help: "Octets of answers, as sent."}, []string{"route"}),
		objects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "comity_objects_total", Help: "Objects served, accepted and refused."}, []string{"direction"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.bytes, m.objects)
	return m
}

// Request counts one answer. route is the pattern, not the path.
func (m *Metrics) Request(route, method string, status int, took time.Duration, bytes int64) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route, method).Observe(took.Seconds())
	m.bytes.WithLabelValues(route).Add(float64(bytes))
}

// Served counts objects that went out.
func (m *Metrics) Served(n int) { m.objects.WithLabelValues("out").Add(float64(n)) }

// Pushed counts the outcome of a push.
func (m *Metrics) Pushed(accepted, refused int) {
	m.objects.WithLabelValues("in").Add(float64(accepted))
	m.objects.WithLabelValues("refused").Add(float64(refused))
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
