package adminhttp_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/admin"
	adminhttp "comity/taxii/admin/http"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/feed"
	"comity/taxii/intake"
	"comity/taxii/link"
	"comity/taxii/operation"
)

// clients reach one Service, in this process and over a Unix socket, as two users.
func clients(t *testing.T) map[string]*adminhttp.Client {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	s, err := bolt.Open(dir, time.Now, log, 0)
	if err != nil {
		t.Fatal(err)
	}
	current, recorder := exchange.NewCurrent(s), audit.New(s.Record, time.Now, log)
	c := custody.New(s, current, recorder, nil, time.Now, log)
	service := admin.New(s, current, intake.New(s, dir, time.Now), c, operation.New(s, current, c, dir, time.Now, log), feed.New(s, current, recorder, nil, feed.Config{}, time.Now, log), link.New(s, current, intake.New(s, dir, time.Now), c, time.Now, log), time.Now)
	socket := filepath.Join(dir, "admin.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: adminhttp.Handler(service)}
	go server.Serve(listener)
	dialled, err := adminhttp.Dial(socket, "ben(1001)")
	if err != nil {
		t.Fatal(err)
	}
	local := adminhttp.Local(service, "ana(1000)", s.Close)
	t.Cleanup(func() {
		dialled.Close()
		server.Close()
		if err := local.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]*adminhttp.Client{"operator:ana(1000)": local, "operator:ben(1001)": dialled}
}

// A command does the same with a server and without one, and the audit record names
// the user who ran it.
func TestASocketAndAPipeCarryTheSame(t *testing.T) {
	all := clients(t)
	var centre exchange.Centre
	if err := all["operator:ana(1000)"].Call(t.Context(), "init", admin.Init{ID: "igci", Name: "Centre", Country: "SG"}, &centre); err != nil {
		t.Fatal(err)
	}
	for user, client := range all {
		id := user[len("operator:"):][:3]
		if err := client.Call(t.Context(), "org/add", exchange.Organisation{ID: id, Kind: "soc", Name: id, Country: "SG"}, new(exchange.Organisation)); err != nil {
			t.Fatal(err)
		}
		var entries []audit.Entry
		if err := client.Call(t.Context(), "audit/list", admin.AuditEntries{Limit: 1}, &entries); err != nil || len(entries) != 1 {
			t.Fatalf("%+v, %v", entries, err)
		}
		if entries[0].Account != user {
			t.Errorf("the record names %s, want %s", entries[0].Account, user)
		}
		err := client.Call(t.Context(), "token/revoke", admin.RevokeToken{ID: "beef"}, new(any))
		if taxii.CodeOf(err) != taxii.NotFound || err.Error() != "there is no token beef" {
			t.Errorf("%s: %v, want the error of the Service", user, err)
		}
		if err := client.Call(t.Context(), "token/revoke", 7, new(any)); taxii.CodeOf(err) != taxii.Invalid {
			t.Errorf("%s: %v, want Invalid for a malformed argument", user, err)
		}
		if err := client.Call(t.Context(), "org/format", nil, new(any)); err == nil {
			t.Errorf("%s: a verb that there is not was carried out", user)
		}
	}
	var list []exchange.Organisation
	if err := all["operator:ben(1001)"].Call(t.Context(), "org/list", nil, &list); err != nil || len(list) != 3 {
		t.Errorf("%+v, %v; want three organisations", list, err)
	}
}

// A stream ends with a line that says so; one that fails before its first byte is an
// error.
func TestStreamsAreWholeOrAnError(t *testing.T) {
	for user, client := range clients(t) {
		if _, err := client.Stream(t.Context(), "export", map[string][]string{"collection": {"none"}}, nil); taxii.CodeOf(err) != taxii.Conflict {
			t.Errorf("%s: export of a folder without a centre: %v", user, err)
		}
		answer, err := client.Stream(t.Context(), "check", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer)
		if err != nil {
			t.Fatal(err)
		}
		answer.Close()
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		var last admin.Checked
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || !last.Done {
			t.Errorf("%s: the last line of %q is not the end: %v", user, text, err)
		}
	}
}
