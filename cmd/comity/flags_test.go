package main

import "testing"

func TestSizesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]byteSize{"0": 0, "104857600": 104857600, "10MB": 10_000_000, "10MiB": 10 << 20, "1kB": 1000, "64KiB": 64 << 10, "2GB": 2_000_000_000} {
		var got byteSize
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MB", "-1", "1.5MB", "10 MB", "10TB", "9999999999999999"} {
		var got byteSize
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s is taken for %d", text, got)
		}
	}
}
