package bolt_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"comity/store"
	"comity/store/bolt"
	"comity/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string, now func() time.Time) store.Store {
		s, err := bolt.Open(dir, now, discard, 0)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
