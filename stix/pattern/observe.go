package pattern

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"comity/stix"
)

// MaxObjects bounds the objects of one observation, with those that are
// reached by reference.
const MaxObjects = 10_000

// Times are nanoseconds since 1970. past is before, and future after, the time of
// every observation.
const (
	past   = math.MinInt64
	future = math.MaxInt64
)

// Observation is a set of objects that were seen together (§9.1). It may be matched by several
// goroutines at once.
type Observation struct {
	ID          stix.ID // of the observed-data, or of the single observable
	first, last int64   // past and future if the time is not known
	count       int64   // how often it was seen
	objects     []*observable
	byRef       map[string]*observable // by identifier, or by key in the container
}

// observable is one object of an observation.
type observable struct {
	name    string // its type
	members map[string]any
}

// Observe makes an observation of an observed-data object. Its objects are those
// that object_refs names, looked up with find, or those of the deprecated property
// objects. Any other object is taken for a single observable, seen once at an
// unknown time. Referenced objects are looked up too. An object that find does not
// have is missing from the observation, which is no error. find may be nil.
func Observe(o stix.Object, find func(stix.ID) (stix.Object, bool)) (*Observation, error) {
	obs := &Observation{ID: o.ID, first: past, last: future, count: 1, byRef: map[string]*observable{}}
	members, err := decode(o.Raw)
	if err != nil {
		return nil, fmt.Errorf("observe %s: %w", o.ID, err)
	}
	if o.Type != "observed-data" {
		obs.objects = []*observable{{o.Type, members}}
		obs.byRef[string(o.ID)] = obs.objects[0]
		return obs, obs.follow(o, find)
	}
	obs.read(members)
	if container, _ := members["objects"].(map[string]any); len(container) > 0 {
		if len(container) > MaxObjects {
			return nil, tooMany(o.ID)
		}
		for _, key := range slices.Sorted(maps.Keys(container)) {
			if members, ok := container[key].(map[string]any); ok {
				name, _ := members["type"].(string)
				obs.byRef[key] = &observable{name, members}
				obs.objects = append(obs.objects, obs.byRef[key])
			}
		}
		return obs, nil
	}
	if err := obs.follow(o, find); err != nil {
		return nil, err
	}
	refs, _ := members["object_refs"].([]any)
	for _, ref := range refs {
		if ref, ok := ref.(string); ok && obs.byRef[ref] != nil {
			obs.objects = append(obs.objects, obs.byRef[ref])
		}
	}
	return obs, nil
}

// read takes the times and the count from the properties of an observed-data.
func (obs *Observation) read(members map[string]any) {
	instant := func(property string) (time.Time, bool) {
		s, _ := members[property].(string)
		t, err := stix.ParseTimestamp(s)
		return t.Time(), err == nil
	}
	first, ok := instant("first_observed")
	last, also := instant("last_observed")
	if ok && also {
		*obs = *obs.Seen(first, last)
	}
	if n, ok := members["number_observed"].(json.Number); ok {
		count, _ := strconv.ParseInt(string(n), 10, 64)
		obs.count = min(max(count, 1), 999_999_999)
	}
}

// Seen is obs with the time it was seen: at some moment from first to last.
func (obs *Observation) Seen(first, last time.Time) *Observation {
	with := *obs
	with.first = nanoseconds(first)
	with.last = max(nanoseconds(last), with.first)
	return &with
}

// follow looks up the observables that can be reached from o by references. Other
// objects are not part of an observation.
func (obs *Observation) follow(o stix.Object, find func(stix.ID) (stix.Object, bool)) error {
	if find == nil {
		return nil
	}
	visited := map[stix.ID]bool{o.ID: true}
	for queue := []stix.Object{o}; len(queue) > 0; queue = queue[1:] {
		var next []stix.ID
		queue[0].References(func(_ string, id stix.ID) {
			class := stix.ClassOf(id.Type())
			if !visited[id] && (class == stix.Observable || class == stix.Custom) {
				visited[id] = true
				next = append(next, id)
			}
		})
		if len(visited) > MaxObjects {
			return tooMany(obs.ID)
		}
		for _, id := range next {
			found, ok := find(id)
			if !ok {
				continue
			}
			members, err := decode(found.Raw)
			if err != nil {
				return fmt.Errorf("observe %s: %w", id, err)
			}
			obs.byRef[string(id)] = &observable{found.Type, members}
			queue = append(queue, found)
		}
	}
	return nil
}

func tooMany(id stix.ID) error {
	return fmt.Errorf("observe %s: it has more than %d objects", id, MaxObjects)
}

// decode keeps numbers as text: one that does not fit into a float64 is no error.
func decode(raw []byte) (members map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&members)
	return members, err
}

// nanoseconds is t as nanoseconds since 1970. Faulty times before 1700 or after
// 2249 are moved to those years, so that differences do not overflow.
func nanoseconds(t time.Time) int64 {
	switch year := t.Year(); {
	case year < 1700:
		t = time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)
	case year >= 2250:
		t = time.Date(2250, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return t.UnixNano()
}

// add is a+b, and past or future where that overflows.
func add(a, b int64) int64 {
	switch sum := a + b; {
	case b > 0 && sum < a:
		return future
	case b < 0 && sum > a:
		return past
	default:
		return sum
	}
}

// Observations makes an observation of each observed-data object, and of each
// observable that none of them lists. References are looked up among the objects.
func Observations(objects []stix.Object) ([]*Observation, error) {
	byID, listed := map[stix.ID]stix.Object{}, map[stix.ID]bool{}
	for _, o := range objects {
		byID[o.ID] = o
		if o.Type == "observed-data" {
			o.References(func(_ string, id stix.ID) { listed[id] = true })
		}
	}
	find := func(id stix.ID) (stix.Object, bool) {
		o, ok := byID[id]
		return o, ok
	}
	var all []*Observation
	for _, o := range objects {
		if o.Type != "observed-data" && (o.Class() != stix.Observable || listed[o.ID]) || o.Revoked {
			continue
		}
		obs, err := Observe(o, find)
		if err != nil {
			return nil, err
		}
		all = append(all, obs)
	}
	return all, nil
}
