package bolt

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readahead asks the system to read n bytes of the file from the mapped record r on.
// bbolt maps the file for random access: without the advice, a page of objects that
// is not in memory comes from the disk in pieces of 4 KiB, each of which is waited
// for. What lies behind the end of the file is not read.
func readahead(r record, n int) {
	page := uintptr(os.Getpagesize())
	at := uintptr(unsafe.Pointer(unsafe.SliceData(r))) &^ (page - 1)
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, at, uintptr(n)+page, unix.MADV_WILLNEED) // only advice: a failure costs time
}

// freeBytes is the room that is left on the disk of a file, in bytes.
func freeBytes(path string) (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(path, &disk); err != nil {
		return 0, err
	}
	return int64(disk.Bavail) * disk.Bsize, nil
}
