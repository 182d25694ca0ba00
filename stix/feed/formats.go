package feed

const plain = "text/plain; charset=utf-8"

// formats is the table of formats.
var formats = []Format{
	{Ext: "txt", Reader: "any tool that reads a value a line", Media: plain, Kinds: plainValues, Comment: "#",
		write: list{line: line, nested: true}.write},
	{Ext: "csv", Reader: "Splunk, Sentinel, spreadsheets", Media: "text/csv; charset=utf-8", Kinds: plainValues, Mixed: true,
		write: list{head: csvHead, line: csvLine, nested: true}.write},
	{Ext: "json", Reader: "scripts", Media: "application/json", Kinds: plainValues, Mixed: true,
		write: list{head: jsonHead, line: jsonLine, foot: jsonFoot, nested: true}.write},
}

// line is the value.
func line(b []byte, _ *writing, e *Entry) []byte { return append(append(b, e.Text...), '\n') }
