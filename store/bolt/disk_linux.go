package bolt

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readahead asks the system to read n bytes of the file into memory, from the mapped
// record r on. bbolt maps the file for random access, so without the advice the system
// reads 4 KiB at a time, and a long page waits for each. The system reads nothing beyond
// the end of the file.
func readahead(r record, n int) {
	page := uintptr(os.Getpagesize())
	at := uintptr(unsafe.Pointer(unsafe.SliceData(r))) &^ (page - 1)
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, at, uintptr(n)+page, unix.MADV_WILLNEED) // only advice: a failure costs time
}
