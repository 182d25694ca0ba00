// Package metrics counts what the server does, for Prometheus.
package metrics

import (
	"net/http"
	"strconv"
	"sync"
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
	logins   *prometheus.CounterVec
	served   prometheus.Counter
}

// New makes counters that start at zero.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "comity_requests_total", Help: "Requests answered."}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "comity_request_seconds", Help: "Time from the request line to the last byte of the answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9)}, []string{"route", "method"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "comity_response_bytes_total", Help: "Bytes of answers, as sent."}, []string{"route"}),
		objects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "comity_objects_total", Help: "Objects served, accepted and refused."}, []string{"direction"}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "comity_refused_logins_total", Help: "Requests that could not prove who sends them, by reason."}, []string{"reason"}),
	}
	m.served = m.objects.WithLabelValues("out")
	m.registry.MustRegister(m.requests, m.seconds, m.bytes, m.objects, m.logins)
	return m
}

// Route holds the counters of one route. The label is the pattern of the route, not the
// path of a request.
type Route struct {
	metrics *Metrics
	route   string
	bytes   prometheus.Counter

	mu      sync.RWMutex // guards answers
	answers map[answerKey]*counters
}

// answerKey holds the labels by which the answers of a route are counted.
type answerKey struct {
	method string
	status int
}

// counters are the counters of one answerKey. They are looked up once, since a lookup
// costs more than counting.
type counters struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
}

// Route returns new counters for a route. Call it once for each route.
func (m *Metrics) Route(route string) *Route {
	return &Route{metrics: m, route: route, bytes: m.bytes.WithLabelValues(route), answers: map[answerKey]*counters{}}
}

// Answer counts one answer.
func (r *Route) Answer(method string, status int, took time.Duration, bytes int64) {
	c := r.counters(answerKey{method, status})
	c.requests.Inc()
	c.seconds.Observe(took.Seconds())
	r.bytes.Add(float64(bytes))
}

func (r *Route) counters(a answerKey) *counters {
	r.mu.RLock()
	c := r.answers[a]
	r.mu.RUnlock()
	if c == nil {
		c = &counters{r.metrics.requests.WithLabelValues(r.route, a.method, strconv.Itoa(a.status)), r.metrics.seconds.WithLabelValues(r.route, a.method)}
		r.mu.Lock()
		r.answers[a] = c
		r.mu.Unlock()
	}
	return c
}

// Served counts objects that were served.
func (m *Metrics) Served(n int) { m.served.Add(float64(n)) }

// Pushed counts the objects of a push.
func (m *Metrics) Pushed(accepted, refused int) {
	m.objects.WithLabelValues("in").Add(float64(accepted))
	m.objects.WithLabelValues("refused").Add(float64(refused))
}

// LoginRefused counts a refused login.
func (m *Metrics) LoginRefused(reason string) { m.logins.WithLabelValues(reason).Inc() }

// Handler serves the metrics to Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
