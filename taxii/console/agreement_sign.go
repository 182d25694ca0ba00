package console

import (
	"io"
	"slices"
	"strconv"

	"comity/taxii"
	"comity/taxii/admin"
)

// agreementVersion is the agreement and the version of the path.
func (c *Console) agreementVersion(v *visit) (in admin.ShowAgreement, err error) {
	in.ID = v.pathValue("agreement")
	if in.Version, err = strconv.ParseInt(v.pathValue("version"), 10, 64); err != nil {
		return in, errNotThere
	}
	shown, err := c.readable(v, in.ID)
	if err == nil && !slices.ContainsFunc(shown.Versions, func(a admin.Version) bool { return a.Version == in.Version }) {
		err = errNotThere
	}
	return in, err
}

// agreementFile sends a version of an agreement as it was deposited, for a party to sign.
func (c *Console) agreementFile(v *visit) error {
	in, err := c.agreementVersion(v)
	if err != nil {
		return err
	}
	shown, err := c.Admin.Agreement(v.r.Context(), in)
	if err != nil {
		return err
	}
	v.Header().Set("Content-Type", "application/toml")
	v.Header().Set("Content-Disposition", `attachment; filename="`+in.ID+`.toml"`)
	_, err = io.WriteString(v, shown.Source)
	return err
}

// maxSigned bounds a signed agreement, in bytes.
const maxSigned = 1 << 20

// signAgreement takes a signature that the person's organisation made offline. The key never
// comes to the server.
func (c *Console) signAgreement(v *visit) error {
	in, err := c.agreementVersion(v)
	if err != nil {
		return err
	}
	if v.Home != "" {
		return errNotThere
	}
	file, err := c.bundleOf(v)
	if err != nil {
		return err
	}
	signed, err := io.ReadAll(io.LimitReader(file, maxSigned+1))
	if err != nil {
		return err
	}
	if len(signed) > maxSigned {
		return taxii.Errorf(taxii.TooLarge, "A signed agreement has at most %s. Upload the [[signature]] block alone.", size(maxSigned))
	}
	if err := c.Admin.SignAgreement(v.r.Context(), v.actor(), admin.SignAgreement{ID: in.ID, Version: in.Version, Signed: string(signed)}); err != nil {
		return err
	}
	v.redirect(agreementURL(in.ID))
	return nil
}
