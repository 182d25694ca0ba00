//go:build !linux

package bolt

import "errors"

func readahead(record, int) {}

func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
