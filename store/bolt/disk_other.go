//go:build !linux

package bolt

func readahead(record, int) {}
