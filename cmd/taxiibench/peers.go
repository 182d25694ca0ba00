package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// peer is another TAXII 2.1 server, from PyPI, run as its documentation says.
type peer struct {
	name       string
	process    *process
	read, push *collection
	objects    int // in read
}

// peerClients is the number of clients of each peer. Two saturate it.
const peerClients = 2

// The numbers of objects in the peers. The time of medallion for a page grows with the
// square of the number.
const (
	medallionObjects = 1000
	openTAXIIObjects = 5000
)

// startMedallion runs medallion with its in-memory backend, and pushes its objects.
func startMedallion(ctx context.Context, venv, dir string, g generator) (*peer, error) {
	type object = map[string]any
	const read, push = "0b75d13d-a390-462d-8404-2e32eb6b765c", "c246a97a-b4dd-42e4-b0f3-f5df12e43508"
	collection := func(id string) object {
		return object{
			"id": id, "title": id, "can_read": true, "can_write": true, "media_types": []string{"application/stix+json;version=2.1"},
			"objects": []object{}, "manifest": []object{},
		}
	}
	data, config := filepath.Join(dir, "medallion-data.json"), filepath.Join(dir, "medallion.json")
	for path, content := range map[string]object{
		data: {
			"/discovery": object{"title": "bench"},
			"bench": object{
				"information": object{"title": "bench", "versions": []string{mediaType}, "max_content_length": 100 << 20},
				"status":      []object{},
				"collections": []object{collection(read), collection(push)},
			},
		},
		config: {
			"users": object{"bench": "bench"}, "taxii": object{"max_page_size": 10_000},
			"backend": object{"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend", "filename": data},
		},
	} {
		b, err := json.Marshal(content)
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	root, auth := "http://"+address+"/bench/", basic("bench", "bench")
	p := &peer{name: "medallion", objects: medallionObjects, read: loopback(root, read, auth), push: loopback(root, push, auth)}
	_, port, _ := strings.Cut(address, ":")
	p.process, err = start(p.name, filepath.Join(dir, "medallion.log"), nil, filepath.Join(venv, "bin", "medallion"), "--host", "127.0.0.1", "--port", port, config)
	if err == nil {
		err = p.process.ready(ctx, 20*time.Millisecond, p.read.reachable)
	}
	if err == nil {
		err = p.fill(g)
	}
	return p, err
}

// fill pushes the objects that are read.
func (p *peer) fill(g generator) error {
	conn := newConn(p.read.dial)
	defer conn.close()
	for from := 0; from < p.objects; from += 1000 {
		body := g.appendEnvelope(nil, from, 1000)
		a, err := conn.do(p.read.post(0, "", len(body)), body, true)
		if err == nil {
			_, err = p.read.completed(a)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// opentaxiiConfig is that of the first example of the documentation.
const opentaxiiConfig = `domain: "%[2]s"
support_basic_auth: yes
auth_api:
  class: opentaxii.auth.sqldb.SQLDatabaseAPI
  parameters:
    db_connection: %[1]s
    create_tables: yes
    secret: bench-only
taxii1:
taxii2:
  persistence_api:
    class: opentaxii.persistence.sqldb.Taxii2SQLDatabaseAPI
    parameters:
      db_connection: %[1]s
      create_tables: yes
  max_content_length: 104857600
  title: "bench"
logging:
  opentaxii: error
  root: error
`

// opentaxiiApp is the program that gunicorn runs. OpenTAXII 0.9.3 answers every push with
// status 500, since its JSON encoder cannot write UUIDs; this program adds that.
const opentaxiiApp = `import json
json.JSONEncoder.default = lambda self, value: str(value)
from opentaxii.http import app
`

// startOpenTAXII runs OpenTAXII under gunicorn, with two workers, and pushes its objects. Its
// tables are made in a database, whose address has the form of SQLAlchemy. Requests carry a
// token, which is cheaper for OpenTAXII than a password.
func startOpenTAXII(ctx context.Context, venv, dir, database string, g generator) (*peer, error) {
	p := &peer{name: "OpenTAXII", objects: openTAXIIObjects}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "opentaxii.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, opentaxiiConfig, database, address), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "opentaxii_app.py"), []byte(opentaxiiApp), 0o600); err != nil {
		return nil, err
	}
	env := []string{"OPENTAXII_CONFIG=" + config, "HOME=" + dir, "PYTHONPATH=" + dir}
	do := func(args ...string) (out string) {
		if err == nil {
			args[0] = filepath.Join(venv, "bin", args[0])
			out, err = capture(ctx, nil, env, args...)
		}
		return out
	}
	do("opentaxii-create-account", "-u", "bench", "-p", "bench", "-a")
	do("opentaxii-add-api-root", "-t", "bench", "--default")
	root := do("python", "-c", `import sqlalchemy, sys, uuid
with sqlalchemy.create_engine(sys.argv[1]).connect() as connection:
    print(uuid.UUID(str(connection.execute(sqlalchemy.text("select id from opentaxii_api_root")).scalar())))`, database)
	root = strings.TrimSpace(root)
	for _, alias := range []string{readCollection, pushCollection} {
		do("opentaxii-add-collection", "-r", root, "-t", alias, "-a", alias, "--public", "--public-write")
	}
	if err != nil {
		return nil, err
	}
	p.process, err = start(p.name, filepath.Join(dir, "opentaxii.log"), env,
		filepath.Join(venv, "bin", "gunicorn"), "opentaxii_app:app", "--bind", address, "--workers", "2", "--threads", "4", "--timeout", "600")
	if err != nil {
		return nil, err
	}
	var token string
	if err := p.process.ready(ctx, 20*time.Millisecond, func() error { token, err = opentaxiiToken("http://" + address); return err }); err != nil {
		return p, err
	}
	url := "http://" + address + "/taxii2/" + root + "/"
	p.read, p.push = loopback(url, readCollection, "Bearer "+token), loopback(url, pushCollection, "Bearer "+token)
	return p, p.fill(g)
}

func opentaxiiToken(url string) (string, error) {
	r, err := http.Post(url+"/management/auth", "application/json", strings.NewReader(`{"username":"bench","password":"bench"}`))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	var answer struct{ Token string }
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		return "", fmt.Errorf("no token: status %d %s", r.StatusCode, cut(body))
	}
	return answer.Token, nil
}
