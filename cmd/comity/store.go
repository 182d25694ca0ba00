package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"comity/store"
	"comity/store/atomicfile"
	"comity/store/bolt"
	"comity/store/postgres"
	"comity/taxii"
)

// storeFlags say where the store is, if it is not in the data folder.
type storeFlags struct {
	Store      string `env:"COMITY_STORE" placeholder:"FILE|URL" help:"Keep the store in this PostgreSQL database instead of the data folder: its URL, or a file that holds the URL, so that nobody sees the password."`
	AllowAsync bool   `env:"COMITY_ALLOW_ASYNC" help:"Accept a database with an asynchronous standby, which may lack acknowledged pushes after a failover."`
}

type storeCmd struct {
	Copy    storeCopyCmd    `cmd:"" help:"Copy a store into an empty one of another engine, and compare the two; no server may use either."`
	Migrate storeMigrateCmd `cmd:"" help:"Bring the schema of the database to the version of this program."`
	Servers storeServersCmd `cmd:"" help:"List the servers that use the store now, and what each of them does for all."`
}

type storeServersCmd struct{}

func (c *storeServersCmd) Run(sh *shell) error {
	list, err := call[[]store.Process](sh, "store/servers", nil)
	if err != nil {
		return err
	}
	return printTable(sh, list, "server,version,since,does for all", list, func(p store.Process) []any {
		return []any{p.Address, p.Version, p.Joined.UTC().Format(time.RFC3339), strings.Join(p.Duties, ", ")}
	})
}

type storeMigrateCmd struct{}

func (c *storeMigrateCmd) Run(sh *shell) error {
	if sh.storeFlags.Store == "" {
		return errors.New("name the database with --store: the store of a data folder is migrated when it is opened")
	}
	dsn, err := readDSN(sh.storeFlags.Store)
	if err != nil {
		return err
	}
	before, after, err := postgres.Migrate(sh.ctx, dsn)
	if err != nil {
		return err
	}
	return sh.print(map[string]int64{"before": before, "after": after}, func(w io.Writer) {
		fmt.Fprintf(w, "schema %d, %d before\n", after, before)
	})
}

type storeCopyCmd struct {
	From string `required:"" placeholder:"DIR|FILE|URL" help:"Data folder, or database: its URL or a file that holds it."`
	To   string `required:"" placeholder:"DIR|FILE|URL" help:"Where to copy it; a folder without a store, or an empty database."`
}

func (c *storeCopyCmd) Run(sh *shell) (err error) {
	if err := sh.checkPlatform(); err != nil {
		return err
	}
	from, err := sh.openPlace(c.From, false)
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	servers, err := from.Processes(sh.ctx)
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	if len(servers) > 0 {
		return fmt.Errorf("--from: the server at %s uses the store: end it first, or run comity check if it was killed", servers[0].Address)
	}
	to, err := sh.openPlace(c.To, true)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	bar := sh.progress(-1, "copying")
	err = store.Copy(sh.ctx, from, to, func(n int64) { bar.Set64(n) })
	bar.Close()
	if taxii.CodeOf(err) == taxii.Conflict {
		return fmt.Errorf("--to: %w", err)
	}
	if err != nil {
		return fmt.Errorf("the copy is not complete, so remove it: %w", err)
	}
	sh.say("the key and the tables of the data folder are not part of the store: keep the folder")
	return sh.print(map[string]bool{"equal": true}, func(w io.Writer) { fmt.Fprintln(w, "copied, and equal page by page") })
}

// openPlace opens the store of a data folder, or of a database. If create is set, there may
// be none yet.
func (sh *shell) openPlace(place string, create bool) (store.Movable, error) {
	if info, err := os.Stat(place); strings.Contains(place, "://") || err == nil && !info.IsDir() {
		return sh.openDatabase(place, create)
	}
	if create {
		if err := os.MkdirAll(place, 0o700); err != nil {
			return nil, err
		}
	} else if _, err := os.Stat(filepath.Join(place, bolt.FileName)); err != nil {
		return nil, noStore("there is no store in " + place)
	}
	return bolt.Open(place, time.Now, sh.log, lockWait)
}

// openDatabase opens the store of a database.
func (sh *shell) openDatabase(place string, create bool) (*postgres.Store, error) {
	dsn, err := readDSN(place)
	if err != nil {
		return nil, err
	}
	replica := ""
	if sh.replica != "" {
		if replica, err = readDSN(sh.replica); err != nil {
			return nil, fmt.Errorf("--store-replica: %w", err)
		}
	}
	return postgres.Open(sh.ctx, postgres.Config{
		DSN: dsn, Replica: replica, Now: time.Now, Log: sh.log, Create: create, Migrate: sh.migrates, AllowAsync: sh.storeFlags.AllowAsync,
	})
}

func isURL(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// readDSN returns the address of a database, which place is or names a file with.
func readDSN(place string) (string, error) {
	if isURL(place) {
		return place, nil
	}
	text, err := os.ReadFile(place)
	if err != nil { // it does not quote the place, which may be an address with a password
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return "", fmt.Errorf("the store is no URL of a database, postgres://…, and no file that holds one: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// restoreInto restores a file into the database or the data folder. The file is what any
// engine wrote as a backup.
func (sh *shell) restoreInto(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	isDump := store.IsDump(in)
	if sh.storeFlags.Store == "" && !isDump {
		return bolt.Restore(sh.ctx, file, sh.data)
	}
	work := filepath.Join(sh.data, ".restore")
	if err := cmp.Or(os.RemoveAll(work), os.Mkdir(work, 0o700)); err != nil { // a restore that was killed has left it
		return err
	}
	defer os.RemoveAll(work)
	if sh.storeFlags.Store == "" {
		return sh.loadFolder(in, work)
	}
	to, err := sh.openDatabase(sh.storeFlags.Store, true)
	if err != nil {
		return err
	}
	if isDump {
		err = to.Load(sh.ctx, store.ReadDump(in))
	} else {
		err = sh.loadBackup(file, work, to)
	}
	return errors.Join(err, to.Close())
}

// loadFolder makes a dump the store of the data folder. It works in the folder work, so
// that a dump that is cut off leaves nothing.
func (sh *shell) loadFolder(dump io.Reader, work string) error {
	path := filepath.Join(sh.data, bolt.FileName)
	if _, err := os.Lstat(path); err == nil {
		return taxii.Errorf(taxii.Conflict, "%s is there already: restore into a folder without one", path)
	}
	to, err := bolt.Open(work, time.Now, sh.log, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(to.Load(sh.ctx, store.ReadDump(dump)), to.Close()); err != nil {
		return err
	}
	return atomicfile.Rename(filepath.Join(work, bolt.FileName), path)
}

// loadBackup loads the backup of a data folder into a database. It restores the backup into
// the folder work first, which checks it.
func (sh *shell) loadBackup(file, work string, to store.Loader) error {
	if err := bolt.Restore(sh.ctx, file, work); err != nil {
		return err
	}
	from, err := bolt.Open(work, time.Now, sh.log, 0)
	if err != nil {
		return err
	}
	return errors.Join(to.Load(sh.ctx, store.Items(sh.ctx, from)), from.Close())
}
