package console

import (
	"strings"

	"comity/taxii"
	"comity/taxii/custody"
)

// recallPage lists the accounts that got an object.
type recallPage struct {
	Object   string
	Fault    string
	Holdings []custody.Holding
}

// recall previews the recall of an object: it lists its holders and notifies nobody.
func (c *Console) recall(v *visit) error {
	out := recallPage{Object: strings.TrimSpace(v.r.FormValue("object"))}
	if out.Object != "" {
		var err error
		out.Holdings, err = c.Admin.PreviewRecall(v.r.Context(), out.Object)
		if taxii.CodeOf(err) == taxii.Invalid {
			out.Fault, v.status = sentence(err.Error()), taxii.Invalid.Status()
		} else if err != nil {
			return err
		}
	}
	return c.render(v, "recall", "Who holds an object", out)
}
