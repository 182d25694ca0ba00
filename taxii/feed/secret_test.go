package feed_test

import (
	"slices"
	"testing"
	"time"

	"comity/taxii/exchange"
	"comity/taxii/feed"
)

// rotate makes new secrets of a feed of the bureau.
func (w *world) rotate(id string) {
	w.Helper()
	w.amend(func(d *exchange.Directory) error {
		d.Feeds["ncb-kh/"+id].Rotation++
		return nil
	})
}

func (w *world) secrets(id string) []feed.Secret {
	w.Helper()
	list, err := w.feeds.Secrets(w.Context(), "ncb-kh/"+id)
	w.must(err)
	return list
}

func TestARotationKeepsTheLastSecretAndNoOlderOne(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	first := w.secrets("f-block")
	if len(first) != 1 || first[0].Name != "f-block.ncb-kh." || len(first[0].Value) != 44 {
		t.Fatalf("at first: %v", first)
	}
	w.rotate("f-block")
	second := w.secrets("f-block")
	if len(second) != 2 || second[1] != first[0] || second[0].Name == first[0].Name || second[0].Value == first[0].Value {
		t.Errorf("after a rotation: %v", second)
	}
	w.subscribe("block", "block", "# replaced\n")
	if got := w.secrets("f-block"); !slices.Equal(got, second) {
		t.Errorf("another file of the same feed has other secrets: %v", got)
	}
	w.rotate("f-block")
	if third := w.secrets("f-block"); len(third) != 2 || third[1] != second[0] || third[0].Value == first[0].Value {
		t.Errorf("after two rotations: %v", third)
	}
}

// Otherwise who had access to a feed that was removed would have access to the next one of
// its name.
func TestAFeedThatIsAddedAgainHasOtherSecrets(t *testing.T) {
	w := newWorld(t, "")
	w.subscribe("block", "block", "")
	before := w.secrets("f-block")[0]
	w.amend(func(d *exchange.Directory) error {
		f := *d.Feeds["ncb-kh/f-block"]
		delete(d.Feeds, "ncb-kh/f-block")
		f.Added = f.Added.Add(time.Second)
		return d.PutFeed(f, false)
	})
	if after := w.secrets("f-block")[0]; after.Name != before.Name || after.Value == before.Value {
		t.Errorf("%v, then %v", before, after)
	}
}
