package bolt

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ahead reads ahead of one walk through the file. bbolt maps it for random access:
// left alone, what is not in memory comes in by 4 KiB at a time.
type ahead struct {
	from uintptr // where in the map it has looked ahead from
	size int
}

const (
	mapped   = 4096    // the least that is in memory or not
	lookAt   = 8       // of these; who is to read fewer does not look
	maxAhead = 1 << 20 // what is read ahead has to stay in memory until it is reached
)

// walk is told of each record, and about how many octets of them are to follow.
// Where the walk leaves what it has looked ahead at, it looks whether what comes
// next is in memory; if not, it has the system read all that follows, in one piece
// and without waiting. Looking costs a microsecond, asking for what is there a dozen.
func (a *ahead) walk(r []byte, follow int) {
	start := unsafe.Pointer(unsafe.SliceData(r))
	if uintptr(start)-a.from < uintptr(a.size) || follow < lookAt*mapped {
		return
	}
	start = unsafe.Add(start, -int(uintptr(start)%mapped))
	a.from, a.size = uintptr(start), min(follow, maxAhead)
	var there [lookAt]byte
	_, _, err := unix.Syscall(unix.SYS_MINCORE, a.from, lookAt*mapped, uintptr(unsafe.Pointer(&there)))
	if err == 0 && bytes.Count(there[:], []byte{1}) < lookAt {
		_ = unix.Madvise(unsafe.Slice((*byte)(start), a.size), unix.MADV_WILLNEED) // it is only advice
	}
}
