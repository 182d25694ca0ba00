package postgres

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"comity/stix"
	"comity/store"
	"comity/taxii"
	"comity/taxii/exchange"
)

// row is one record: a row of live or hist.
type row struct {
	store.Version
	key   stix.Key
	kind  string // type of the object
	sum   uint32 // CRC-32C of json
	json  []byte // nil: it was not read
	live  bool
	mixed bool

	wasLive, wasMixed, fresh bool // as the database has it; fresh: not yet
	past                     *rehearsed
}

// columns are the columns of a row, and header the same without the JSON. scanRow reads
// them from rows.
const (
	header  = `added, until, collection, sum, spec, tlp, barred, none, mixed, key, instant, type`
	columns = header + `, json`
)

// castagnoli is the table of the checksums. It never changes.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// scanRow reads the columns of a row in their binary form, and whether it is in live, which
// is the last column. Its JSON, if that is among them, is valid until the next row. It
// returns an error of store.Damaged if the JSON does not match its checksum; the other
// fields are then read all the same.
func scanRow(rows pgx.Rows) (r row, err error) {
	v := rows.RawValues()
	r.Date = store.Date(binary.BigEndian.Uint64(v[0]))
	r.sum = binary.BigEndian.Uint32(v[3])
	r.Spec = byte(binary.BigEndian.Uint16(v[4]))
	r.Handling = exchange.Handling{TLP: stix.TLP(v[5][1]), Barred: exchange.Actions(v[6][1]), Until: uint32(binary.BigEndian.Uint64(v[1]))}
	r.None, r.mixed = v[7][0] == 1, v[8][0] == 1
	r.key, r.kind = stix.Key(v[9]), string(v[11])
	copy(r.Instant[:], v[10])
	r.live = v[len(v)-1][0] == 1
	r.wasLive, r.wasMixed = r.live, r.mixed
	if len(v) == 14 && v[12] != nil {
		if r.json = v[12]; crc32.Checksum(r.json, castagnoli) != r.sum {
			err = store.Damaged("the record added %s does not match its checksum", taxii.FormatTime(r.Date.Time()))
		}
	}
	return r, err
}

// versionsOf returns the versions of rows.
func versionsOf(rows []*row) []store.Version {
	vs := make([]store.Version, len(rows))
	for i, r := range rows {
		vs[i] = r.Version
	}
	return vs
}

// args are the values of columns, for an INSERT into the collection n.
func (r *row) args(n int32) []any {
	return []any{
		int64(r.Date), int64(r.Handling.Until), n, int32(r.sum), int16(r.Spec), int16(r.Handling.TLP), int16(r.Handling.Barred), r.None, r.mixed,
		uuid.UUID(r.key), r.Instant[:], r.kind, r.json,
	}
}

// insertRow is the INSERT of one row into the table that is appended to INSERT INTO.
const insertRow = ` (` + columns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`

// copyRows writes rows with a binary COPY. pgx's own CopyFrom would first ask the database
// for the types of the columns.
func (tx *writeTx) copyRows(table string, n int32, rows []*row) error {
	size := len(copyHeader) + 2
	for _, r := range rows {
		size += 180 + len(r.kind) + len(r.json)
	}
	b := append(make([]byte, 0, size), copyHeader...)
	for _, r := range rows {
		b = binary.BigEndian.AppendUint16(b, 13)
		b = field64(b, uint64(r.Date))
		b = field64(b, uint64(r.Handling.Until))
		b = field32(b, uint32(n))
		b = field32(b, r.sum)
		b = field16(b, uint16(r.Spec))
		b = field16(b, uint16(r.Handling.TLP))
		b = field16(b, uint16(r.Handling.Barred))
		b = fieldBool(b, r.None)
		b = fieldBool(b, r.mixed)
		b = fieldBytes(b, r.key[:])
		b = fieldBytes(b, r.Instant[:])
		b = fieldBytes(b, []byte(r.kind))
		b = fieldBytes(b, r.json)
	}
	b = append(b, 0xff, 0xff)
	_, err := tx.conn.Conn().PgConn().CopyFrom(tx.ctx, io.NopCloser(bytes.NewReader(b)), `COPY `+table+` (`+columns+`) FROM STDIN (FORMAT binary)`)
	return err
}

// copyHeader begins a binary COPY: the signature, flags 4, and the length of an extension 4.
const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// A field of a binary COPY is its length 4 and its value.

func field64(b []byte, v uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), v)
}

func field32(b []byte, v uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), v)
}

func field16(b []byte, v uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, 0, 0, 0, 2), v)
}

func fieldBool(b []byte, v bool) []byte {
	if v {
		return append(b, 0, 0, 0, 1, 1)
	}
	return append(b, 0, 0, 0, 1, 0)
}

func fieldBytes(b, v []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

// id parses the identifier of the object.
func (r *row) id() (stix.ID, error) {
	o, err := stix.NewObject(r.json)
	if err != nil {
		return "", store.Damaged("the record added %s: %w", taxii.FormatTime(r.Date.Time()), err)
	}
	return o.ID, nil
}

// keysOfRows returns the keys of rows, each once.
func keysOfRows(rows []*row) (keys []stix.Key) {
	seen := make(map[stix.Key]bool, len(rows))
	for _, r := range rows {
		if !seen[r.key] {
			seen[r.key] = true
			keys = append(keys, r.key)
		}
	}
	return keys
}
