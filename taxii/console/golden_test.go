package console_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comity/taxii/exchange"
)

var update = flag.Bool("update", false, "write the golden files")

// random are the parts of a page that differ from run to run.
var random = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|http://127\.0\.0\.1:\d+|static/[0-9a-f]{12}|comity_[A-Za-z0-9_-]{43}|<code>[0-9a-f]{8}</code>|tokens/[0-9a-f]{8}|token [0-9a-f]{8}|revoke [0-9a-f]{8}|before=\d+|[0-9,]+ [kMG]B|</dt><dd>\d+</dd>|127\.0\.0\.1:\d+|(?s:<svg class="qr".*?</svg>)|<code class="pick">[A-Z2-7]{32}</code>`)

// help stands for the pages of comity help.
var help = map[string]string{"feed": "Lists for a <firewall>\n\nA tool reads a list.\n\n  curl http://…\n", "tls": "How other machines reach the server\n"}

const watchFeed = `format = "feed/1"
id = "watch"
account = "bureau/siem"
use = "search"
collections = ["sharing.reports"]
allow_reserved = []
`

var receiptForm = regexp.MustCompile(`<a href="/console/receipts/([^"]+)"`)

// Each page is as the golden file in testdata has it; -update writes them.
func TestPagesAreAsTheGoldenFilesHaveThem(t *testing.T) {
	w := newWorld(t)
	w.push("vendor/vic", "sharing.reports", indicator(1, "Traffic to c2-1.example.com", ""), indicator(2, `A <b>bold</b> name`, ""))
	w.push("vendor/vic", "sharing.reports", strings.Replace(indicator(1, "Traffic", ""), `"modified":"2026-02-01`, `"modified":"2026-02-02`, 1))
	vic, dara, olga, nobody := w.as("vendor/vic"), w.as("bureau/dara"), w.as("igci/olga"), w.browser()
	made := vic.post("/console/tokens")
	w.amend(func(d *exchange.Directory) {
		w.must(d.AddAccount(exchange.Account{Org: "bureau", Name: "siem", Action: "search"}))
		w.must(d.PutFeed(exchange.Feed{ID: "watch", Account: "bureau/siem", Use: "search", Added: noon, Source: watchFeed}, false))
	})
	newcomer := w.browser()
	newcomer.post("/console/sign-in", "account", "bureau/dara", "password", password)
	for name, page := range map[string]*answer{
		"front":      nobody.get("/"),
		"signin":     nobody.get("/console/sign-in"),
		"home":       vic.get("/console/"),
		"collection": dara.get("/console/collections/sharing.reports"),
		"object":     dara.get("/console/collections/sharing.reports/objects/indicator--00000000-0000-4000-8000-000000000001"),
		"push": vic.upload("/console/collections/sharing.reports/push", "act", "check", "text",
			`{"objects":[`+strings.Replace(indicator(3, "mistake", ""), `.com']`, `.com'`, 1)+`]}`),
		"code":         newcomer.get("/console/sign-in/code"),
		"receipts":     vic.get("/console/receipts"),
		"receipt":      vic.get("/console/receipts/" + receiptForm.FindStringSubmatch(vic.get("/console/receipts").body)[1]),
		"rules":        vic.get("/console/rules"),
		"feed":         dara.get("/console/feeds/watch?product=rspamd"),
		"tokens":       made,
		"operations":   vic.get("/console/operations"),
		"feeds":        vic.get("/console/feeds"),
		"agreements":   dara.get("/console/agreements"),
		"agreement":    dara.get("/console/agreements/sharing"),
		"audit":        vic.get("/console/audit"),
		"help":         dara.get("/console/help/feed"),
		"helptopics":   dara.get("/console/help"),
		"passkeys":     vic.get("/console/passkeys"),
		"centre":       olga.get("/console/centre"),
		"organisation": olga.get("/console/centre/organisations/vendor"),
		"account":      olga.get("/console/centre/accounts/vendor%2Fvic"),
		"quarantine":   olga.get("/console/centre/quarantine"),
		"recall":       olga.get("/console/centre/recall?object=indicator--00000000-0000-4000-8000-000000000001"),
		"act":          olga.post("/console/agreements/sharing/act", "act", "withdraw", "party", "vendor", "reason", "left"),
		"error":        dara.get("/console/none"),
	} {
		got := random.ReplaceAllStringFunc(page.body, func(found string) string {
			if strings.HasPrefix(found, "00000000-") {
				return found
			}
			return "…"
		})
		file := filepath.Join("testdata", name+".html")
		if *update {
			w.must(os.MkdirAll("testdata", 0o755))
			w.must(os.WriteFile(file, []byte(got), 0o644))
		}
		want, err := os.ReadFile(file)
		w.must(err)
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
