package console

// actPage asks an operator to confirm an act that takes something away for good.
type actPage struct {
	Facts  []fact // what is done, to what
	Reason string
	Loss   string // what it takes away, in sentences
	Fields []fact // of the form, beside the reason
	URL    string // that the form is sent to
	Button string
	Back   string // URL of the page before
}

// fact is a name with its value.
type fact struct{ Name, Value string }

// confirmed tells whether the form comes from the page that counts the loss.
func (v *visit) confirmed() bool { return v.r.PostFormValue("confirmed") != "" }

// confirm shows the page that counts the loss.
func (c *Console) confirm(v *visit, act actPage) error {
	return c.render(v, "act", "Confirm the act", act)
}
