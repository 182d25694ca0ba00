package server_test

import (
	"strings"
	"testing"
	"time"

	"comity/taxii/exchange"
)

// heldUpTo is heldWorld with another strictest label in held.in.
func heldUpTo(label string) func(*world) {
	return func(w *world) {
		heldWorld(w)
		admit := w.admit
		w.admit = func(d *exchange.Directory) error {
			if err := admit(d); err != nil {
				return err
			}
			return deposit(d, strings.Replace(posted, `tlp_max  = { in = "red"`, `tlp_max  = { in = "`+label+`"`, 1))
		}
	}
}

// A refused object revokes nothing.
func TestARefusedRevocationTakesNothing(t *testing.T) {
	for name, revocation := range map[string]string{
		"above the ceiling":          indicator(1, 2, `"revoked":true`, marked(red)),
		"against a version there is": indicator(1, 1, `"revoked":true`, `"name":"other"`),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, heldUpTo("amber"))
			c := w.collection("held.in")
			vendor := w.as("vendor/feed")
			vendor.push(c, indicator(1, 0), indicator(1, 1))
			w.as("bureau/soc").objects(c, "")
			w.clock.move(time.Second)
			if status := vendor.push(c, revocation); status.FailureCount != 1 {
				t.Fatalf("%+v", status)
			}
			w.clock.move(time.Second)
			if got := vendor.get(c + "objects/" + id("indicator", 1) + "/versions/"); got.status != 200 || len(got.envelope().Versions) != 2 {
				t.Errorf("want two versions: %s", got)
			}
			w.wantRecalls("bureau/soc", "held.post.bureau")
		})
	}
}

// A DELETE that finds nothing recalls nothing.
func TestDeletingWhatIsNotThereTellsNobody(t *testing.T) {
	w := newWorld(t, heldWorld)
	c := w.collection("held.in")
	w.as("vendor/feed").push(c, indicator(1, 0))
	w.as("bureau/soc").objects(c, "")
	w.clock.move(time.Second)
	w.as("vendor/feed").delete(c + "objects/" + id("indicator", 1) + "/?match[version]=" + stamp(9)).refused(404)
	w.clock.move(time.Second)
	w.wantRecalls("bureau/soc", "held.post.bureau")
}

// A reader is not told to delete a version that stays.
func TestDeletingAVersionRecallsItFromWhoHasThatVersion(t *testing.T) {
	w := newWorld(t, heldWorld)
	c := w.collection("held.in")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0))
	w.as("bureau/soc").objects(c, "")
	w.clock.move(2 * time.Second)
	vendor.push(c, indicator(1, 1))
	w.as("partner/feed").objects(c, "")
	w.clock.move(2 * time.Second)
	vendor.delete(c + "objects/" + id("indicator", 1) + "/?match[version]=" + stamp(0)).want(200)
	w.clock.move(time.Second)
	w.wantRecalls("bureau/soc", "held.post.bureau", []string{id("indicator", 1)})
	w.wantRecalls("partner/feed", "held.post.partner")
}

// An account that could not see an object cannot see its recall, even if another account
// of the same organisation received the object.
func TestARecallTellsNoMoreThanTheObjectDid(t *testing.T) {
	w := newWorld(t, heldWorld)
	c := w.collection("held.in")
	vendor := w.as("vendor/feed")
	vendor.push(c, indicator(1, 0, marked(red)), indicator(2, 0))
	w.as("bureau/chief").objects(c, "")
	w.clock.move(2 * time.Second)
	for n := 1; n <= 2; n++ {
		vendor.delete(c + "objects/" + id("indicator", n) + "/").want(200)
		w.clock.move(time.Second)
	}
	w.wantRecalls("bureau/chief", "held.post.bureau", []string{id("indicator", 1)}, []string{id("indicator", 2)})
	w.wantRecalls("bureau/soc", "held.post.bureau", []string{id("indicator", 2)})
}

// If an operation inherits a limit from its parent agreement, the refusal cites the
// parent: the operation may have other articles with the same number.
func TestALimitCitesTheAgreementItIsIn(t *testing.T) {
	w := newWorld(t, asean, func(w *world) {
		admit := w.admit
		w.admit = func(d *exchange.Directory) error {
			if err := admit(d); err != nil {
				return err
			}
			return deposit(d, strings.NewReplacer("pushes_per_day   = 5000", "pushes_per_day = 1", "bytes_per_push   = 26214400", "bytes_per_push = 4096").Replace(agreementText("dea-alder")))
		}
	})
	c, alder := w.collection("op-asean-demo.in.alder"), w.as("alder/feed")
	large := `{"objects":[` + strings.Repeat(" ", 4096) + `]}`
	if m := alder.do("POST", c+"objects/", large).refused(413); !strings.HasPrefix(m.Description, "article 11 of dea-alder: ") {
		t.Errorf("%q", m.Description)
	}
	alder.push(c, indicator(1, 0, marked(green), `"created_by_ref":"`+identityOf("alder")+`"`))
	if m := alder.do("POST", c+"objects/", envelopeOf(indicator(2, 0))).refused(429); !strings.HasPrefix(m.Description, "article 11 of dea-alder: ") {
		t.Errorf("%q", m.Description)
	}
}
