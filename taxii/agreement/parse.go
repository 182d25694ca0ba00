package agreement

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/pelletier/go-toml/v2"
)

// maxSize bounds the size of a file in bytes. The longest real agreement has a twentieth of
// it.
const maxSize = 256 << 10

// Parse reads one agreement file, and finds all problems that do not involve other files;
// [Check] finds those. The Agreement is nil only if the file is too large, too deeply
// nested or not TOML. Otherwise it has the fields that could be read, and may be used only
// if the problems have no errors.
func Parse(file string, src []byte) (*Agreement, Problems) {
	if len(src) > maxSize {
		return nil, Problems{{File: file, Msg: fmt.Sprintf("%d bytes: an agreement has at most %d", len(src), maxSize)}}
	}
	if ps := tooDeep(file, src); ps != nil {
		return nil, ps
	}
	var tree map[string]any
	if err := toml.Unmarshal(src, &tree); err != nil {
		p := Problem{File: file, Msg: err.Error()}
		var at *toml.DecodeError
		if errors.As(err, &at) {
			p.Line, _ = at.Position()
		}
		return nil, Problems{p}
	}
	a := &Agreement{File: file, source: src}
	d := decoder{file: file, lines: Lines(src)}
	d.table("", tree, reflect.ValueOf(a).Elem())
	a.blocks = d.blocks
	a.digest = digest(tree)
	d.checkSource(src)
	ps := append(d.problems, lint(a)...)
	ps.sort()
	return a, ps.cut(file)
}

// digest is the digest of the TOML tree, not of the Agreement, so a later version of comity
// with more fields computes the same.
func digest(tree map[string]any) string {
	signed := maps.Clone(tree)
	delete(signed, "signature")
	text, err := json.Marshal(plain(signed))
	if err != nil {
		panic("agreement: TOML values have a JSON form: " + err.Error())
	}
	v := jsontext.Value(text)
	if err := v.Canonicalize(); err != nil {
		panic("agreement: JSON has a canonical form: " + err.Error())
	}
	sum := sha256.Sum256(v)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// plain replaces the TOML values that JSON lacks by strings: times, infinities and NaN.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, val := range v {
			m[key] = plain(val)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, val := range v {
			l[i] = plain(val)
		}
		return l
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
	}
	return v
}
