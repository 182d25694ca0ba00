//go:build !linux

package atomicfile

import "errors"

// Free is how many bytes are free on a disk. Only Linux tells.
func Free(string) (int64, error) { return 0, errors.ErrUnsupported }
