// Package metrics counts what the server does, for Prometheus, and has the alert rules
// and the dashboard that read them. table.go lists all metrics.
package metrics

import (
	_ "embed"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Rules are alert rules for Prometheus.
//
//go:embed comity.rules.yml
var Rules string

// Dashboard is a dashboard for Grafana.
//
//go:embed comity.json
var Dashboard string

// Metrics are the counters of one server.
type Metrics struct {
	registry *prometheus.Registry
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
	objects  *prometheus.CounterVec
	logins   *prometheus.CounterVec
	refusals *prometheus.CounterVec
	lookups  *prometheus.CounterVec
	feeds    *prometheus.CounterVec
	commits  prometheus.Observer
	served   prometheus.Counter
}

// New makes counters that start at zero.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(),
	)
	m.seconds = m.histogram("comity_request_seconds")
	m.bytes = m.counter("comity_response_bytes_total")
	m.objects = m.counter("comity_objects_total")
	m.logins = m.counter("comity_refused_logins_total")
	m.refusals = m.counter("comity_refusals_total")
	m.lookups = m.counter("comity_page_cache_lookups_total")
	m.feeds = m.counter("comity_feed_reads_total")
	m.commits = m.histogram("comity_commit_seconds").WithLabelValues()
	m.served = m.objects.WithLabelValues("out")
	return m
}

// find returns the family of that name.
func find(name string) family {
	return families[slices.IndexFunc(families, func(f family) bool { return f.name == name })]
}

func (m *Metrics) counter(name string) *prometheus.CounterVec {
	f := find(name)
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: f.name, Help: f.help}, f.labels)
	m.registry.MustRegister(vec)
	return vec
}

// histogram makes a histogram whose buckets reach from 0.5 ms to 33 s.
func (m *Metrics) histogram(name string) *prometheus.HistogramVec {
	f := find(name)
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: f.name, Help: f.help, Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9)}, f.labels)
	m.registry.MustRegister(vec)
	return vec
}

// Route holds the counters of one route. The label is the pattern of the route, not the
// path of a request.
type Route struct {
	metrics *Metrics
	route   string
	bytes   prometheus.Counter

	mu      sync.RWMutex // guards answers
	answers map[answerKey]prometheus.Observer
}

// answerKey holds the labels by which the answers of a route are counted.
type answerKey struct {
	method string
	status int
}

// Route returns new counters for a route. Call it once for each route.
func (m *Metrics) Route(route string) *Route {
	return &Route{metrics: m, route: route, bytes: m.bytes.WithLabelValues(route), answers: map[answerKey]prometheus.Observer{}}
}

// Answer counts one answer.
func (r *Route) Answer(method string, status int, took time.Duration, bytes int64) {
	r.seconds(answerKey{method, status}).Observe(took.Seconds())
	r.bytes.Add(float64(bytes))
}

// seconds looks up the histogram of an answerKey once, since a lookup costs more than
// counting.
func (r *Route) seconds(a answerKey) prometheus.Observer {
	r.mu.RLock()
	o := r.answers[a]
	r.mu.RUnlock()
	if o == nil {
		o = r.metrics.seconds.WithLabelValues(r.route, a.method, strconv.Itoa(a.status))
		r.mu.Lock()
		r.answers[a] = o
		r.mu.Unlock()
	}
	return o
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

// Refused counts a request that an article of an agreement refused. Both are "" where
// there is none.
func (m *Metrics) Refused(agreement, article string) {
	m.refusals.WithLabelValues(agreement, article).Inc()
}

// FeedRead counts a request for a feed, "org/id".
func (m *Metrics) FeedRead(feed string, status int) {
	m.feeds.WithLabelValues(feed, strconv.Itoa(status)).Inc()
}

// CacheLookup counts a page that was asked for; hit tells whether the cache had it.
func (m *Metrics) CacheLookup(hit bool) {
	result := "miss"
	if hit {
		result = "hit"
	}
	m.lookups.WithLabelValues(result).Inc()
}

// Committed counts a commit of the store.
func (m *Metrics) Committed(took time.Duration) { m.commits.Observe(took.Seconds()) }

// Gauge reports the value of a metric at the moment of a scrape; one whose name ends in _total
// is a counter. The labels are in the order of the table.
type Gauge func(name string, value float64, labels ...string)

// Time reports a time, in seconds since 1970; 0 for the zero time.
func (g Gauge) Time(name string, at time.Time, labels ...string) {
	if at.IsZero() {
		at = time.Unix(0, 0)
	}
	g(name, float64(at.UnixMilli())/1000, labels...)
}

// Watch lets read report values at each scrape. It has to be quick, and scrapes may
// overlap.
func (m *Metrics) Watch(read func(Gauge)) {
	descs := map[string]*prometheus.Desc{}
	for _, f := range families {
		descs[f.name] = prometheus.NewDesc(f.name, f.help, f.labels, nil)
	}
	m.registry.MustRegister(&watcher{read, descs})
}

// watcher is a prometheus.Collector.
type watcher struct {
	read  func(Gauge)
	descs map[string]*prometheus.Desc
}

// Describe names no metrics, as is allowed where they are not known before the scrape.
func (w *watcher) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (w *watcher) Collect(out chan<- prometheus.Metric) {
	w.read(func(name string, value float64, labels ...string) {
		desc := w.descs[name]
		if desc == nil {
			desc = prometheus.NewInvalidDesc(fmt.Errorf("metric %s is not in the table", name))
		}
		kind := prometheus.GaugeValue
		if strings.HasSuffix(name, "_total") {
			kind = prometheus.CounterValue
		}
		metric, err := prometheus.NewConstMetric(desc, kind, value, labels...)
		if err != nil {
			metric = prometheus.NewInvalidMetric(desc, err)
		}
		out <- metric
	})
}

// Handler serves the metrics to Prometheus. A metric that cannot be read is left out.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
