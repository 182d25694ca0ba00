package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// On Windows a command that needs a store refuses with one sentence, before it writes
// anything. Commands that work on files alone work there too.
func TestWindowsHasNoStore(t *testing.T) {
	t.Chdir(t.TempDir())
	sh := newShell(t.Context(), strings.NewReader(""), io.Discard, io.Discard)
	sh.data, sh.goos = "data", "windows"
	try := func(line string) error {
		t.Helper()
		command, err := kong.Must(&commands{}, kong.Vars{"clients": "", "products": "curl"}).Parse(strings.Split(line, " "))
		if err != nil {
			t.Fatalf("comity %s: %v", line, err)
		}
		return command.Run(sh)
	}
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("new.json", `{"objects":[{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4","value":"198.51.100.3"}]}`)
	write("old.json", `{"type":"bundle","id":"bundle--1d1d5d9c-4a55-4fd5-8b1b-6f0c2f6c8d01","spec_version":"2.0","objects":[{"type":"identity",`+
		`"id":"identity--1d1d5d9c-4a55-4fd5-8b1b-6f0c2f6c8d01","created":"2024-01-01T00:00:00.000Z","modified":"2024-01-01T00:00:00.000Z","name":"x","identity_class":"group"}]}`)
	if _, err := newKey("acme.key"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"agreement new --centre=igci --partner=acme --id=dea --effective=2024-01-01 --expires=2124-01-01 --unmarked=green -o dea.toml",
		"agreement check dea.toml", "agreement print dea.toml", "agreement sign dea.toml --as acme --key acme.key", "agreement explain dea.toml",
		"validate new.json", "convert --to=2.1 old.json", "match --pattern [ipv4-addr:value='198.51.100.3'] new.json", "version",
	} {
		if err := try(line); err != nil {
			t.Errorf("comity %s: %v", line, err)
		}
	}
	for _, line := range []string{
		"init --centre igci --name Centre --country SG", "serve", "demo --once", "org list", "account add acme/feed", "token list",
		"agreement load dea.toml --waive-signatures trial", "agreement show dea", "agreement withdraw dea --party acme --reason notice", "agreement end dea --reason notice",
		"collections", "grants", "why indicator--1d1d5d9c-4a55-4fd5-8b1b-6f0c2f6c8d01 --as acme/feed", "import --collection dea.inbound --as acme/feed new.json",
		"export --collection dea.inbound", "submission show 1", "op stats dea", "report show CAR-2017-KH-C2", "outcome list dea", "audit list", "audit verify",
		"audit export --party acme", "recall preview x", "purge", "purge --now", "quarantine list", "feed list", "link list", "store copy --from data --to other", "backup copy.db", "restore copy.db", "check", "compact",
	} {
		if err := try(line); err == nil || !strings.HasPrefix(err.Error(), "comity keeps a store and serves on Linux and macOS only") {
			t.Errorf("comity %s: %v", line, err)
		}
	}
	if _, err := os.Stat(sh.data); err == nil {
		t.Error("a data folder was made")
	}
}
