package console

import (
	"net/url"
	"strconv"

	"comity/taxii/admin"
)

// quarantinePage lists objects in quarantine, oldest first. It does not show the objects:
// nobody has a grant on them.
type quarantinePage struct {
	Rows []quarantineRow
	More string // URL of those that follow, "" for none
}

// quarantineRow is one object in quarantine.
type quarantineRow struct {
	admin.Quarantined
	URL string
}

func quarantineRowOf(q admin.Quarantined) quarantineRow {
	q.ID, q.Message = readable(q.ID), readable(q.Message)
	return quarantineRow{q, root + "centre/quarantine/" + strconv.FormatUint(q.Number, 10)}
}

// quarantine lists the objects that were kept apart from pushes.
func (c *Console) quarantine(v *visit) error {
	after, err := v.position("after")
	if err != nil {
		return err
	}
	list, err := c.Admin.QuarantinedAfter(v.r.Context(), after, pageSize+1)
	if err != nil {
		return err
	}
	var out quarantinePage
	if len(list) > pageSize {
		list = list[:pageSize]
		out.More = root + "centre/quarantine?" + url.Values{"after": {strconv.FormatUint(list[pageSize-1].Number, 10)}}.Encode()
	}
	for _, q := range list {
		out.Rows = append(out.Rows, quarantineRowOf(q))
	}
	return c.render(v, "quarantine", "Quarantine", out)
}

// quarantineNumber is the number of the object that the path names.
func (v *visit) quarantineNumber() (uint64, error) {
	number, err := strconv.ParseUint(v.pathValue("number"), 10, 64)
	if err != nil {
		return 0, errNotThere
	}
	return number, nil
}

// quarantined shows one object in quarantine, without its content.
func (c *Console) quarantined(v *visit) error {
	number, err := v.quarantineNumber()
	if err != nil {
		return err
	}
	q, err := c.Admin.QuarantinedObject(v.r.Context(), number)
	if err != nil {
		return err
	}
	return c.render(v, "quarantined", "Object in quarantine", quarantineRowOf(q))
}

// discard drops an object in quarantine for good.
func (c *Console) discard(v *visit) error {
	number, err := v.quarantineNumber()
	if err != nil {
		return err
	}
	if _, err := c.Admin.Discard(v.r.Context(), v.actor(), admin.Discard{Number: number, Reason: v.r.PostFormValue("reason")}); err != nil {
		return err
	}
	v.redirect(root + "centre/quarantine")
	return nil
}
