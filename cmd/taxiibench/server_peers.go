package main

import (
	"context"
	"encoding/json"
	"errors"
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
	base, push *target
	objects    int     // in base
	raw        int64   // their octets
	file       string  // where it keeps them, "" if in memory
	memory     float64 // RSS of all its processes after base was polled
}

// peerClients is how many requests at a time peers get: it saturates them, and more
// only wait.
const peerClients = 2

// program is where a script of a Python environment is, "" if it is not there.
func program(venv, name string) string {
	path, err := filepath.Abs(filepath.Join(venv, "bin", name))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// medallionObjects is what medallion holds: a page costs it time that grows with
// the square of it.
const medallionObjects = 1000

// startMedallion runs it with the backend it ships, which keeps everything in
// memory, and finds its objects in the file it begins with.
func startMedallion(ctx context.Context, binary, dir, on string, m maker) (*peer, error) {
	type object = map[string]any
	p := &peer{name: "medallion", objects: medallionObjects}
	var objects []json.RawMessage
	manifest := []object{}
	for i := range p.objects {
		b := m.append(nil, i, 0)
		p.raw += int64(len(b))
		objects = append(objects, b)
		manifest = append(manifest, object{
			"id": m.id(i), "date_added": fmt.Sprintf("2024-03-01T00:00:00.%06dZ", i), "version": firstCreated.Add(time.Duration(i) * time.Second).Format(stixTime),
			"media_type": "application/stix+json;version=2.1",
		})
	}
	collection := func(id string, objects []json.RawMessage, manifest []object) object {
		return object{
			"id": id, "title": id, "can_read": true, "can_write": true, "media_types": []string{"application/stix+json;version=2.1"},
			"objects": objects, "manifest": manifest,
		}
	}
	const base, push = "0b75d13d-a390-462d-8404-2e32eb6b765c", "c246a97a-b4dd-42e4-b0f3-f5df12e43508"
	data := filepath.Join(dir, "medallion-data.json")
	config := filepath.Join(dir, "medallion.json")
	for path, content := range map[string]object{
		data: {
			"/discovery": object{"title": "bench"},
			"bench": object{
				"information": object{"title": "bench", "versions": []string{mediaType}, "max_content_length": 100 << 20},
				"status":      []object{},
				"collections": []object{collection(base, objects, manifest), collection(push, []json.RawMessage{}, []object{})},
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
	port := address[strings.LastIndexByte(address, ':')+1:]
	p.process, err = start(ctx, p.name, filepath.Join(dir, "medallion.log"), on, nil, binary, "--host", "127.0.0.1", "--port", port, config)
	if err != nil {
		return nil, err
	}
	root := "http://" + address + "/bench/"
	if p.base, err = newTarget(root, base, basic("bench", "bench")); err != nil {
		return p, err
	}
	if p.push, err = newTarget(root, push, basic("bench", "bench")); err != nil {
		return p, err
	}
	return p, p.process.ready(ctx, p.base.reachable)
}

// opentaxiiConfig uses SQLite, as the documentation of OpenTAXII begins.
const opentaxiiConfig = `domain: "%[2]s"
support_basic_auth: yes
auth_api:
  class: opentaxii.auth.sqldb.SQLDatabaseAPI
  parameters:
    db_connection: sqlite:///%[1]s/opentaxii-auth.db
    create_tables: yes
    secret: bench-only
taxii1:
taxii2:
  persistence_api:
    class: opentaxii.persistence.sqldb.Taxii2SQLDatabaseAPI
    parameters:
      db_connection: sqlite:///%[1]s/opentaxii.db
      create_tables: yes
  max_content_length: 104857600
  title: "bench"
logging:
  opentaxii: error
  root: error
`

// opentaxiiApp is what gunicorn runs. OpenTAXII 0.9.3 answers every push with
// status 500, since it writes ids that its JSON encoder does not know; here it
// does.
const opentaxiiApp = `import json
json.JSONEncoder.default = lambda self, value: str(value)
from opentaxii.http import app
`

// startOpenTAXII runs it under gunicorn, with two workers, and pushes its objects.
// It is asked with a token of its own, which costs it less than a password.
func startOpenTAXII(ctx context.Context, venv, dir, on string, m maker, objects int) (*peer, error) {
	p := &peer{name: "OpenTAXII", objects: objects, file: filepath.Join(dir, "opentaxii.db")}
	gunicorn := program(venv, "gunicorn")
	if gunicorn == "" {
		return nil, errors.New("OpenTAXII runs under gunicorn, which is not in the environment: pip install gunicorn")
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "opentaxii.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, opentaxiiConfig, dir, address), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "opentaxii_app.py"), []byte(opentaxiiApp), 0o600); err != nil {
		return nil, err
	}
	env := []string{"OPENTAXII_CONFIG=" + config, "HOME=" + dir, "PYTHONPATH=" + dir}
	do := func(args ...string) (out string) {
		if err == nil {
			args[0] = program(venv, args[0])
			out, err = capture(ctx, nil, env, args...)
		}
		return out
	}
	do("opentaxii-create-account", "-u", "bench", "-p", "bench", "-a")
	do("opentaxii-add-api-root", "-t", "bench", "--default")
	root := do("python", "-c", `import sqlite3, sys, uuid
print(uuid.UUID(sqlite3.connect(sys.argv[1]).execute("select id from opentaxii_api_root").fetchone()[0]))`, p.file)
	root = strings.TrimSpace(root)
	for _, alias := range []string{baseCollection, pushCollection} {
		do("opentaxii-add-collection", "-r", root, "-t", alias, "-a", alias, "--public", "--public-write")
	}
	if err != nil {
		return nil, err
	}
	p.process, err = start(ctx, p.name, filepath.Join(dir, "opentaxii.log"), on, env,
		gunicorn, "opentaxii_app:app", "--config", "python:opentaxii.http", "--bind", address, "--workers", "2", "--threads", "4", "--timeout", "600")
	if err != nil {
		return nil, err
	}
	var token string
	if err = p.process.ready(ctx, func() error { token, err = opentaxiiToken("http://" + address); return err }); err != nil {
		return p, err
	}
	url := "http://" + address + "/taxii2/" + root + "/"
	if p.base, err = newTarget(url, baseCollection, "Bearer "+token); err != nil {
		return p, err
	}
	if p.push, err = newTarget(url, pushCollection, "Bearer "+token); err != nil {
		return p, err
	}
	c := newConn(p.base.dial)
	defer c.close()
	for from := 0; from < objects; from += 1000 {
		body := m.appendEnvelope(nil, from, min(1000, objects-from))
		a, err := c.do(p.base.post(0, len(body)), body, true)
		if err != nil {
			return p, err
		}
		if _, err := p.base.settled(a); err != nil {
			return p, err
		}
		p.raw += int64(len(body))
	}
	return p, nil
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

// rss is the memory of a peer with all its workers. What they share is counted
// once for each, as ps does.
func (p *peer) rss() (float64, error) {
	total, err := memory(p.process.pid(), "VmRSS")
	for _, child := range children(p.process.pid()) {
		n, err := memory(child, "VmRSS")
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, err
}
