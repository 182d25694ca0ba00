package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// warningLists are values that are seldom malicious, such as the names of popular sites,
// each with the name of its list.
type warningLists struct {
	values   map[string]string
	networks map[netip.Prefix]string
}

// read adds a list. A file has one value on each line, where # begins a comment, or is a
// warning list of MISP, a JSON object with the members name and list.
func (w *warningLists) read(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var misp struct {
		Name string   `json:"name"`
		List []string `json:"list"`
	}
	name, values := filepath.Base(file), strings.Split(string(text), "\n")
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		if err := json.Unmarshal(text, &misp); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		name, values = misp.Name, misp.List
	}
	if w.values == nil {
		w.values, w.networks = map[string]string{}, map[netip.Prefix]string{}
	}
	for _, value := range values {
		value, _, _ = strings.Cut(value, "#")
		value = strings.ToLower(strings.Trim(strings.TrimSpace(value), "."))
		if network, err := netip.ParsePrefix(value); err == nil {
			w.networks[network.Masked()] = name
		} else if value != "" {
			w.values[value] = name
		}
	}
	return nil
}

// has is the name of the list with the value, a parent domain or an enclosing network;
// "" if there is none.
func (w *warningLists) has(value string) string {
	value = strings.ToLower(strings.TrimSuffix(value, "."))
	if name := w.values[value]; name != "" {
		return name
	}
	if ip, err := netip.ParseAddr(value); err == nil {
		for bits := ip.BitLen(); bits >= 0; bits-- {
			network, _ := ip.Prefix(bits)
			if name := w.networks[network]; name != "" {
				return name
			}
		}
		return ""
	}
	for dot := strings.IndexByte(value, '.'); dot >= 0; dot = strings.IndexByte(value, '.') {
		value = value[dot+1:]
		if name := w.values[value]; name != "" && strings.Contains(value, ".") {
			return name
		}
	}
	return ""
}
