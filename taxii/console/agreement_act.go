package console

import (
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/exchange"
)

// actPage asks an operator to confirm an act that takes something away for good.
type actPage struct {
	admin.ActOnAgreement
	URL, Back string
	Loss      admin.Loss
}

// actOnAgreement suspends, reinstates or ends an agreement, or lets a party withdraw from it
// with its data. The last two are carried out only after a page that counts the loss.
func (c *Console) actOnAgreement(v *visit) error {
	ctx, id := v.r.Context(), v.pathValue("agreement")
	in := admin.ActOnAgreement{ID: id, Kind: exchange.ActKind(v.r.PostFormValue("act")), Party: v.r.PostFormValue("party"), Reason: v.r.PostFormValue("reason")}
	switch {
	case in.Kind == exchange.Withdraw && in.Party == "":
		return taxii.Errorf(taxii.Invalid, "Choose the party that withdraws.")
	case in.Kind != exchange.Withdraw && in.Kind != exchange.Reinstate:
		in.Party = ""
	}
	var err error
	switch forGood := in.Kind == exchange.Withdraw || in.Kind == exchange.End; {
	case forGood && v.r.PostFormValue("confirmed") == "":
		out := actPage{ActOnAgreement: in, URL: agreementURL(id) + "/act", Back: agreementURL(id)}
		if out.Loss, err = c.Admin.PreviewLoss(ctx, in); err != nil {
			return err
		}
		return c.render(v, "act", "Confirm the act", out)
	case in.Kind == exchange.Withdraw:
		_, err = c.Admin.Withdraw(ctx, v.actor(), admin.Withdraw{ID: id, Party: in.Party, Reason: in.Reason})
	default:
		_, err = c.Admin.ActOnAgreement(ctx, v.actor(), in)
	}
	if err != nil {
		return err
	}
	v.redirect(agreementURL(id))
	return nil
}
