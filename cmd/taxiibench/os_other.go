//go:build !linux

package main

import (
	"errors"
	"os"
)

func fdatasync(f *os.File) error { return f.Sync() }

var errLinux = errors.New("only on Linux")

func evict(string) error { return errLinux }

func resident(string) (float64, error) { return 0, errLinux }
