package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// cluster is a primary of PostgreSQL and its synchronous standbys, all on this machine.
type cluster []*pgx.ConnConfig

// newCluster makes the cluster of a DSN that names all hosts, and a role that is a
// superuser.
func newCluster(dsn string) (c cluster, err error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("--store cannot be parsed: it has the form postgres://USER@HOST:PORT,HOST:PORT/DATABASE")
	}
	add := func(host string, port uint16) {
		node := config.Copy()
		node.Host, node.Port, node.Fallbacks, node.ConnectTimeout = host, port, nil, 2*time.Second
		c = append(c, node)
	}
	add(config.Host, config.Port)
	for _, f := range config.Fallbacks {
		if last := c[len(c)-1]; f.Host != last.Host || f.Port != last.Port { // a host may be there with and without TLS
			add(f.Host, f.Port)
		}
	}
	if len(c) < 2 {
		return nil, errors.New("--store names one host only: nothing can take over from it")
	}
	return c, nil
}

// find connects to the primary, or to a standby, and waits until there is one.
func (c cluster) find(ctx context.Context, standby bool) (*pgx.Conn, error) {
	for {
		for _, node := range c {
			conn, err := pgx.ConnectConfig(ctx, node)
			if err != nil {
				continue
			}
			var recovering bool
			if err := conn.QueryRow(ctx, `SELECT pg_is_in_recovery()`).Scan(&recovering); err == nil && recovering == standby {
				return conn, nil
			}
			conn.Close(ctx)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, fmt.Errorf("the database has no primary or no standby: %w", err)
		}
	}
}

// failOver lets the database fail over once, in one of the ways of --failover.
func (c cluster) failOver(ctx context.Context, way string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if way == "patroni" {
		return c.killUntilReplaced(ctx)
	}
	primary, main, err := c.primary(ctx)
	if err != nil {
		return err
	}
	defer primary.Close(ctx)
	standby, err := c.find(ctx, true)
	if err != nil {
		return err
	}
	defer standby.Close(ctx)
	if err := cutOff(ctx, primary, standby); err != nil {
		return err
	}
	if err := main.process.Kill(); err != nil {
		return err
	}
	if _, err := standby.Exec(ctx, `SELECT pg_promote()`); err != nil {
		return err
	}
	return main.follow(ctx, standby)
}

// patroniRounds is longer than Patroni takes to learn that a standby is synchronous: two rounds
// of its loop, of two seconds each in .ci/patroni.yml.
const patroniRounds = 5 * time.Second

// killUntilReplaced kills the primary until another server is the primary. Patroni starts
// the same one again if it does not know yet that a standby is synchronous.
func (c cluster) killUntilReplaced(ctx context.Context) error {
	for before := uint16(0); ; {
		primary, main, err := c.primary(ctx)
		if err != nil {
			return err
		}
		primary.Close(ctx)
		switch port := primary.Config().Port; before {
		case 0, port:
			if err := pause(ctx, patroniRounds); err != nil {
				return err
			}
			if err := main.process.Kill(); err != nil {
				return err
			}
			before = port
		default:
			return nil
		}
	}
}

// primary connects to the primary, and waits until it has a synchronous standby.
func (c cluster) primary(ctx context.Context) (*pgx.Conn, *postmaster, error) {
	conn, err := c.find(ctx, false)
	if err != nil {
		return nil, nil, err
	}
	main, err := postmasterOf(ctx, conn)
	if err == nil {
		err = awaitStandby(ctx, conn)
	}
	if err != nil {
		conn.Close(ctx)
	}
	return conn, main, err
}

// awaitStandby waits until a primary has a synchronous standby.
func awaitStandby(ctx context.Context, primary *pgx.Conn) error {
	for {
		var there bool
		if err := primary.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))`).Scan(&there); err != nil || there {
			return err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// cutOff brings about what a primary can do worst before it dies. The standby gets
// nothing more, so commits wait for it, and have been made durable on the primary before.
// Connections that wait are ended, which ends their wait, so the primary shows these commits.
// The crash of one backend restarts the primary, which then shows all of them. The standby
// will never have them.
func cutOff(ctx context.Context, primary, standby *pgx.Conn) error {
	for _, sql := range []string{`ALTER SYSTEM SET primary_conninfo = 'port=1'`, `SELECT pg_reload_conf()`} {
		if _, err := standby.Exec(ctx, sql); err != nil {
			return err
		}
	}
	for standbys := 1; standbys > 0; {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		if err := primary.QueryRow(ctx, `SELECT count(*) FROM pg_stat_replication`).Scan(&standbys); err != nil {
			return err
		}
	}
	if err := pause(ctx, time.Second/2); err != nil { // until commits wait
		return err
	}
	if _, err := primary.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`); err != nil {
		return err
	}
	// Meanwhile servers ask what became of these commits, and clients poll, on connections
	// that there were before.
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	backend, err := os.FindProcess(int(primary.PgConn().PID()))
	if err == nil {
		err = backend.Kill()
	}
	if err != nil {
		return err
	}
	return pause(ctx, 3*time.Second)
}

// postmaster is the first process of one server of PostgreSQL.
type postmaster struct {
	process *os.Process
	args    []string // with which it was started
	folder  string   // of its data
	owner   string   // whose processes they are
}

func postmasterOf(ctx context.Context, conn *pgx.Conn) (*postmaster, error) {
	p := &postmaster{}
	if err := conn.QueryRow(ctx, `SHOW data_directory`).Scan(&p.folder); err != nil {
		return nil, err
	}
	var pid int
	text, err := os.ReadFile(filepath.Join(p.folder, "postmaster.pid"))
	if err == nil {
		_, err = fmt.Sscan(string(text), &pid)
	}
	if err != nil {
		return nil, fmt.Errorf("the database has to run on this machine: %w", err)
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil, err
	}
	p.args = strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
	owner, err := capture(ctx, nil, nil, "stat", "-c", "%U", p.folder)
	p.owner = strings.TrimSpace(owner)
	if err == nil {
		p.process, err = os.FindProcess(pid)
	}
	return p, err
}

// as is the command line for the owner of the server.
func (p *postmaster) as(args ...string) []string {
	if os.Getuid() == 0 {
		return append([]string{"runuser", "-u", p.owner, "--"}, args...)
	}
	return args
}

// follow makes the server, which was killed, the standby of a new primary, and waits until
// that has it.
func (p *postmaster) follow(ctx context.Context, primary *pgx.Conn) error {
	if err := pause(ctx, time.Second); err != nil { // until its other processes have ended
		return err
	}
	if err := os.RemoveAll(p.folder); err != nil {
		return err
	}
	to := primary.Config()
	if _, err := capture(ctx, nil, nil, p.as(filepath.Join(filepath.Dir(p.args[0]), "pg_basebackup"), "--write-recovery-conf", "--checkpoint=fast",
		"--host", to.Host, "--port", fmt.Sprint(to.Port), "--username", to.User, "--pgdata", p.folder)...); err != nil {
		return err
	}
	go p.run(ctx)
	return awaitStandby(ctx, primary)
}

// run starts the server, and again until ctx ends: the lock file of the one that was killed
// counts until the operating system has forgotten its process.
func (p *postmaster) run(ctx context.Context) {
	for {
		args := p.as(p.args...)
		server := exec.Command(args[0], args[1:]...)
		server.Dir = "/"
		said, err := server.CombinedOutput()
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintf(os.Stderr, "taxiibench: the new standby does not start: %v\n%s", err, said)
		if pause(ctx, time.Second) != nil {
			return
		}
	}
}

// pause waits for d, or until ctx ends, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
