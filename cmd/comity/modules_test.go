package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// gorilla/mux, bbolt and google/uuid are given by the project's charter: the module
// requires each of them itself.
func TestGivenLibrariesAreRequired(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var direct []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) == 2 && strings.HasPrefix(fields[1], "v") { // an indirect one has a comment behind
			direct = append(direct, fields[0])
		}
	}
	for _, given := range []string{"github.com/gorilla/mux", "go.etcd.io/bbolt", "github.com/google/uuid"} {
		if !slices.Contains(direct, given) {
			t.Errorf("go.mod does not require %s directly", given)
		}
	}
}
