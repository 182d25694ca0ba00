package feed

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"sort"
	"strings"
)

// table is a file of rows in the order of their keys. It never changes: a change of the rows
// is a new file. Its layout is
//
//	block…    rows, about blockSize bytes of them: the length of the key (uvarint), the key,
//	          the length of the value (uvarint) and the value
//	header    a tableHeader as JSON, framed like a block
//	position  of the header, 8 bytes
//
// A block begins with its length and its CRC-32C, 4 bytes each. Integers are big-endian.
//
// A table is read while others replace or remove its file. It is closed when nothing refers
// to it any more, as every os.File is.
type table struct {
	tableHeader
	file   *os.File
	blocks []block
	size   int64 // of the blocks
}

// block is the place of a block in a table.
type block struct {
	key string // of its first row
	at  int64
}

// tableHeader says what a table is of.
type tableHeader struct {
	Program   string   `json:"program"`  // that wrote it: another one may read indicators in another way
	View      string   `json:"view"`     // of a collection
	Position  uint64   `json:"position"` // in the audit chain: the entries up to there are taken in
	Hash      []byte   `json:"hash"`     // of the chain at that position
	Sum       sum      `json:"sum"`      // of the records
	Expiry    uint32   `json:"expiry"`   // as in index
	From      int64    `json:"from"`     // µs since 1970, as all that follow
	To        int64    `json:"to"`
	HighWater int64    `json:"high_water"`
	Unsettled [2]int64 `json:"unsettled"` // as in index

	Withdrawals withdrawals `json:"withdrawals"`
}

// blockSize is the number of bytes of rows after which a block ends. One look-up reads one block.
const blockSize = 16 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged says that a file is no whole table.
var errDamaged = errors.New("the file is damaged")

// writeTable writes rows, which come in the order of their keys, into a new file in the place
// of the one with that name. dir is its folder. If name is "", the table has no name, and goes
// when it is closed; then a dir of "" is that of temporary files.
// The file is not forced to the disk: what a failure of the power leaves is found damaged.
func writeTable(dir, name string, header tableHeader, rows iter.Seq2[string, string]) (*table, error) {
	file, err := createTable(dir, name)
	if err != nil {
		return nil, err
	}
	t := &table{tableHeader: header, file: file}
	if err = t.write(rows); err == nil && name != "" {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		file.Close()
		removeFile(file.Name()) // it may have filled the disk
		return nil, fmt.Errorf("write %s: %w", file.Name(), err)
	}
	return t, nil
}

// newSuffix is what the name of a table ends with until it is whole.
const newSuffix = ".new"

func createTable(dir, name string) (*os.File, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if name != "" {
		return os.OpenFile(name+newSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	}
	file, err := os.CreateTemp(dir, "comity-feed-")
	if err != nil {
		return nil, err
	}
	return file, removeFile(file.Name())
}

// removeFile removes a file, which somebody else may have done.
func removeFile(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (t *table) write(rows iter.Seq2[string, string]) error {
	out := bufio.NewWriterSize(t.file, 1<<20)
	var b []byte
	for key, value := range rows {
		if len(b) == 0 {
			t.blocks = append(t.blocks, block{strings.Clone(key), t.size})
		}
		b = appendText(appendText(b, key), value)
		if len(b) >= blockSize {
			t.size += writeBlock(out, b)
			b = b[:0]
		}
	}
	if len(b) > 0 {
		t.size += writeBlock(out, b)
	}
	header, err := json.Marshal(t.tableHeader)
	if err != nil {
		return err
	}
	writeBlock(out, header)
	out.Write(binary.BigEndian.AppendUint64(nil, uint64(t.size)))
	return out.Flush() // it has the errors of what was written before
}

// writeBlock writes a block, and returns the number of bytes that it takes.
func writeBlock(out *bufio.Writer, b []byte) int64 {
	var frame [frameSize]byte
	binary.BigEndian.PutUint32(frame[:], uint32(len(b)))
	binary.BigEndian.PutUint32(frame[4:], crc32.Checksum(b, castagnoli))
	out.Write(frame[:])
	out.Write(b)
	return int64(frameSize + len(b))
}

// frameSize is the number of bytes before a block.
const frameSize = 8

// readBlock checks a block with its frame and returns what is behind the frame.
func readBlock(b []byte) ([]byte, error) {
	if len(b) < frameSize || int(binary.BigEndian.Uint32(b)) != len(b)-frameSize || crc32.Checksum(b[frameSize:], castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return nil, errDamaged
	}
	return b[frameSize:], nil
}

// openTable opens a file that [writeTable] has written. It reads all of it: a table that it
// returns is whole.
func openTable(name string) (t *table, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
			err = fmt.Errorf("open %s: %w", name, err)
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	t = &table{file: file}
	position, end := make([]byte, 8), info.Size()-8
	if _, err := file.ReadAt(position, max(end, 0)); err != nil {
		return nil, errDamaged
	}
	if t.size = int64(binary.BigEndian.Uint64(position)); t.size < 0 || t.size > end {
		return nil, errDamaged
	}
	b := make([]byte, end-t.size)
	if _, err := file.ReadAt(b, t.size); err != nil {
		return nil, err
	}
	if b, err = readBlock(b); err != nil {
		return nil, err
	}
	if json.Unmarshal(b, &t.tableHeader) != nil {
		return nil, errDamaged
	}
	return t, t.findBlocks()
}

// findBlocks reads the blocks one after the other.
func (t *table) findBlocks() error {
	in := bufio.NewReaderSize(io.NewSectionReader(t.file, 0, t.size), 1<<20)
	var b []byte
	for at := int64(0); at < t.size; at += int64(len(b)) {
		frame, err := in.Peek(frameSize)
		if err != nil {
			return errDamaged
		}
		length := frameSize + int64(binary.BigEndian.Uint32(frame))
		if length > t.size-at {
			return errDamaged
		}
		if int64(cap(b)) < length {
			b = make([]byte, length)
		}
		b = b[:length]
		if _, err := io.ReadFull(in, b); err != nil {
			return err
		}
		rows, err := readBlock(b)
		if err != nil {
			return err
		}
		n, width := binary.Uvarint(rows)
		if width <= 0 || n > uint64(len(rows)-width) {
			return errDamaged
		}
		t.blocks = append(t.blocks, block{string(rows[width:][:n]), at})
	}
	return nil
}

// read is the text of the rows of the blocks from i to before j. It panics if the file cannot be read any
// more: it was whole when it was opened, so the disk fails. The buffer may be used again.
func (t *table) read(i, j int, buffer []byte) (text string, _ []byte) {
	begin := t.blocks[i].at
	buffer = slices.Grow(buffer[:0], int(t.end(j-1)-begin))[:t.end(j-1)-begin]
	_, err := t.file.ReadAt(buffer, begin)
	var rows strings.Builder
	for rows.Grow(len(buffer)); i < j && err == nil; i++ {
		var b []byte
		b, err = readBlock(buffer[t.blocks[i].at-begin : t.end(i)-begin])
		rows.Write(b)
	}
	if err != nil {
		panic(fmt.Errorf("read %s: %w", t.file.Name(), err))
	}
	return rows.String(), buffer
}

// end is where the i-th block ends.
func (t *table) end(i int) int64 {
	if i+1 < len(t.blocks) {
		return t.blocks[i+1].at
	}
	return t.size
}

// find is the first block that may have a key that is not less than key, -1 if all keys
// are greater.
func (t *table) find(key string) int {
	return sort.Search(len(t.blocks), func(i int) bool { return t.blocks[i].key > key }) - 1
}

// appendText appends a text with its length before it.
func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}
