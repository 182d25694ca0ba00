package agreement

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

//go:embed print.html
var printText string

// Print writes the agreement as one HTML page to be signed on paper. It has the text of each
// article, with the lines of the file that carry it out beside it if blocks is true, and a
// line for the signature of each party. A browser prints it on A4 paper with the digest at
// the foot of every page. The page loads no other files. The error is the writer's.
func (a *Agreement) Print(w io.Writer, blocks bool) error {
	t, err := template.New("").Funcs(template.FuncMap{"instant": instant}).Parse(printText)
	if err != nil {
		panic("agreement: print.html: " + err.Error())
	}
	var page bytes.Buffer
	err = t.Execute(&page, struct {
		*Agreement
		Beside bool
		Blocks map[string][]string // source texts, by the number of the article
	}{a, blocks, a.blockTexts()})
	if err != nil {
		return fmt.Errorf("print agreement %s: %w", a.ID, err)
	}
	_, err = page.WriteTo(w)
	return err
}

// blockTexts are the source texts of the blocks, by article, in the order of the file.
func (a *Agreement) blockTexts() map[string][]string {
	var starts []int // lines at which a block or an article starts
	blocks := map[int]*Block{}
	for _, b := range a.blocks {
		if b.Line == 0 {
			continue // in an array; its line is not known
		}
		starts = append(starts, b.Line)
		if b.name("") != "signature" { // a signature carries out no article
			blocks[b.Line] = b
		}
	}
	for i := range a.Articles {
		starts = append(starts, a.Articles[i].Line)
	}
	source := strings.Split(strings.ReplaceAll(string(a.source), "\r\n", "\n"), "\n")
	slices.Sort(starts)
	starts = append(slices.Compact(starts), len(source)+1)
	texts := map[string][]string{}
	for i, line := range starts {
		if b := blocks[line]; b != nil {
			texts[b.Article] = append(texts[b.Article], trimmed(source[line-1:starts[i+1]-1]))
		}
	}
	return texts
}

// trimmed joins lines without the blank lines and comments at the end. Such a comment
// belongs to the next block.
func trimmed(lines []string) string {
	for n := len(lines); n > 0; n-- {
		last := strings.TrimSpace(lines[n-1])
		if last != "" && !strings.HasPrefix(last, "#") {
			return strings.Join(lines[:n], "\n")
		}
	}
	return ""
}
