package console

import (
	"fmt"

	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/exchange"
)

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
	case forGood && !v.confirmed():
		loss, err := c.Admin.PreviewLoss(ctx, in)
		if err != nil {
			return err
		}
		out := actPage{
			Facts: []fact{{"Agreement", id}, {"Act", string(in.Kind)}}, Reason: in.Reason, Button: "End the agreement",
			Loss:   fmt.Sprintf("This takes objects or a reader from %s, removes %s, and ends the access of %s to a collection.", plural(loss.Collections, "collection", "collections"), plural(loss.Records, "record", "records"), plural(loss.Accounts, "account", "accounts")),
			Fields: []fact{{"act", string(in.Kind)}, {"party", in.Party}}, URL: agreementURL(id) + "/act", Back: agreementURL(id),
		}
		if in.Party != "" {
			out.Facts, out.Button = append(out.Facts, fact{"Party", in.Party}), "Withdraw "+in.Party
		}
		return c.confirm(v, out)
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
