package console

import (
	"fmt"
	"strings"

	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/custody"
)

const recallURL = root + "centre/recall"

// recallPage lists the accounts that got an object.
type recallPage struct {
	Object   string
	Fault    string
	Holdings []custody.Holding
	Loss     custody.Loss // of a recall
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
	out.Loss = custody.LossOf(out.Holdings)
	return c.render(v, "recall", "Who holds an object", out)
}

// recallObject takes an object back, after a page that counts the loss.
func (c *Console) recallObject(v *visit) error {
	in := admin.Recall{Object: strings.TrimSpace(v.r.PostFormValue("object")), Reason: v.r.PostFormValue("reason")}
	if !v.confirmed() {
		holdings, err := c.Admin.PreviewRecall(v.r.Context(), in.Object)
		if err != nil {
			return err
		}
		loss := custody.LossOf(holdings)
		text := fmt.Sprintf("This removes %s from %s", plural(loss.Records, "record", "records"), plural(loss.Collections, "collection", "collections"))
		if loss.Organisations > 0 {
			text += fmt.Sprintf(", and asks %s to delete the object.", plural(loss.Organisations, "organisation", "organisations"))
		} else {
			text += ". No organisation received the object."
		}
		return c.confirm(v, actPage{
			Facts: []fact{{"Object", in.Object}, {"Act", "recall"}}, Reason: in.Reason, Button: "Recall the object",
			Loss:   text,
			Fields: []fact{{"object", in.Object}}, URL: recallURL, Back: recallURL,
		})
	}
	if _, err := c.Admin.Recall(v.r.Context(), v.actor(), in); err != nil {
		return err
	}
	v.redirect(root + "centre")
	return nil
}

// purge removes the records that are past their retention, after a page that counts them. The
// server does so by itself on the day after, unless its clock seems wrong.
func (c *Console) purge(v *visit) error {
	in := admin.Purge{Reason: v.r.PostFormValue("reason")}
	if !v.confirmed() {
		due, err := c.Admin.Due(v.r.Context(), nil)
		if err != nil {
			return err
		}
		records, collections := 0, map[string]bool{}
		for _, d := range due {
			records, collections[d.Collection] = records+int(d.Records), true
		}
		return c.confirm(v, actPage{
			Facts: []fact{{"Act", "purge"}}, Reason: in.Reason, Button: "Purge", URL: root + "centre/purge", Back: root + "centre",
			Loss: fmt.Sprintf("This removes %s of %s, past their retention at %s.", plural(records, "record", "records"), plural(len(collections), "collection", "collections"), v.now.UTC().Format("2006-01-02 15:04 UTC")),
		})
	}
	if _, err := c.Admin.Purge(v.r.Context(), v.actor(), in); err != nil {
		return err
	}
	v.redirect(root + "centre")
	return nil
}
