package bolt

import (
	"bytes"
	"encoding/binary"
	"sort"
	"unsafe"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// ahead reads ahead of one walk through live. bbolt maps the file for random access:
// left alone, what is not in memory comes in by 4 KiB at a time, and the walk waits
// for each. Nothing but time depends on it.
type ahead struct {
	file  []byte  // the map; nil: no need to look
	leaf  uintptr // the page that the walk is in
	known int     // how many it has looked at behind that
}

const (
	mapped   = 4096               // the least that is in memory or not
	lookAt   = 8                  // records; who is to read fewer does not look
	maxAhead = 1 << 20 / pageSize // pages: what is read ahead has to stay in memory until it is reached
	maxLeaf  = pageSize / 64      // records; no leaf holds as many
	maxLook  = maxAhead * maxLeaf // records
)

// begin looks ahead before anything is read. Live holds count records.
func (a *ahead) begin(tx *bbolt.Tx, live *bbolt.Bucket, from date, limit int, count uint64) {
	defer func() { _ = recover() }() // the walk finds what is damaged
	root := uint64(live.Root())
	if root == 0 || count == 0 || limit < lookAt {
		return
	}
	info := tx.DB().Info()
	a.file = unsafe.Slice(*(**byte)(unsafe.Pointer(&info.Data)), tx.Size())
	// How deep the tree is shows at its left edge, where it is full.
	depth, leaves := 0, uint64(1)
	for p := a.branch(root); p.len() > 1; p = a.branch(p.child(0)) {
		depth++
		if leaves *= uint64(p.len()); count/leaves < maxLeaf {
			break
		}
	}
	if depth > 0 {
		a.below(root, depth, from, min(min(limit, maxLook)*int(leaves)/int(count)+2, maxAhead))
	}
}

// below looks at those leaves of the walk that are below a page, so many levels. The
// pages above the leaves name them: none has to be waited for.
func (a *ahead) below(id uint64, depth int, from date, need int) {
	p := a.branch(id)
	n := p.len()
	i := max(sort.Search(n, func(i int) bool { return p.key(i) > from })-1, 0)
	if depth == 1 {
		end := min(n, i+need-a.known)
		a.read(p, i, end)
		a.known += end - i
		return
	}
	for ; i < n && a.known < need; i++ {
		a.siblings(p, i)
		a.below(p.child(i), depth-1, from, need)
	}
}

// siblings has all branches below p read where one is not in memory: they are few,
// and walks that follow need them.
func (a *ahead) siblings(p branch, i int) {
	if !there(a.pages(p.child(i), 1)) {
		a.read(p, 0, p.len())
	}
}

// read has the system read pages below p, without waiting, unless they are in memory.
// Looking costs a microsecond, asking for what is there a dozen. Between two pages
// there may be what the first could not hold, or what is not worth a gap.
func (a *ahead) read(p branch, i, end int) {
	const gap = 4
	for i < end {
		first, n := p.child(i), uint64(1)
		for i++; i < end && n < maxAhead-gap && p.child(i)-first-n < gap; i++ {
			n = p.child(i) - first + 1
		}
		advise(a.pages(first, n))
	}
}

// walk is told of each record, and how many are still wanted. Behind what it has
// looked at, it takes them to be as long as this one, in leaves that lie one behind
// the other and are never quite full. What is longer than a leaf it looks at in any
// case.
func (a *ahead) walk(r []byte, wanted int) {
	if a.file == nil {
		return
	}
	leaf := (uintptr(unsafe.Pointer(unsafe.SliceData(r))) - uintptr(unsafe.Pointer(unsafe.SliceData(a.file)))) / pageSize
	if leaf == a.leaf {
		return
	}
	if a.leaf = leaf; a.known > 0 && len(r) < pageSize {
		a.known--
		return
	}
	a.known = min(min(wanted, maxLook)*(len(r)+8+16)/pageSize*17/16, maxAhead-1, len(a.file)/pageSize-int(leaf)-1)
	advise(a.pages(uint64(leaf), uint64(a.known)+1))
}

func (a *ahead) pages(id, n uint64) []byte { return a.file[id*pageSize : (id+n)*pageSize] }

func advise(pages []byte) {
	if !there(pages) {
		_ = unix.Madvise(pages, unix.MADV_WILLNEED) // it is only advice
	}
}

// there tells whether pages are in memory, or nobody knows.
func there(pages []byte) bool {
	var buf [maxAhead * pageSize / mapped]byte
	core := buf[:len(pages)/mapped]
	_, _, err := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&pages[0])), uintptr(len(pages)), uintptr(unsafe.Pointer(&core[0])))
	return err != 0 || bytes.IndexByte(core, 0) < 0
}

// branch is a page above the leaves as bbolt has it: its number, 8; flags, 2; how many
// entries, 2; how many more pages it takes, 4. Then for each entry: how far behind
// it the key is, 4; the length of that, 4; the number of the page below, 8.
// Integers are as the processor has them.
type branch []byte

func (a *ahead) branch(id uint64) branch { return branch(a.pages(id, 1)) }

// len is how many pages are below; 0 if it is no branch.
func (p branch) len() int {
	if binary.NativeEndian.Uint16(p[8:])&1 == 0 {
		return 0
	}
	return int(binary.NativeEndian.Uint16(p[10:]))
}

func (p branch) entry(i int) []byte { return p[16+16*i:] }

func (p branch) child(i int) uint64 { return binary.NativeEndian.Uint64(p.entry(i)[8:]) }

func (p branch) key(i int) date {
	e := p.entry(i)
	return date(binary.BigEndian.Uint64(e[binary.NativeEndian.Uint32(e):]))
}
