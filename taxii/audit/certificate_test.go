package audit_test

import (
	"encoding/json"
	"testing"

	"comity/taxii/audit"
)

func certificate(t *testing.T) audit.Certificate {
	t.Helper()
	c, err := audit.Certificate{
		Centre: "igci", Party: "acme", Agreement: "dea-acme", Article: "9", Reason: "notice", Withdrawn: noon.Add(1500),
		Records: 2, Objects: audit.DigestAll([][32]byte{{2}, {1}}), Entry: 77,
	}.Sign(centreKey)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificateTravelsAsPlainJSON(t *testing.T) {
	want := certificate(t)
	text, err := json.MarshalIndent(want, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var got audit.Certificate
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := got.Verify(); err != nil {
		t.Error(err)
	}
}

func TestCertificateWithAnythingChangedIsRefused(t *testing.T) {
	other, err := certificate(t).Sign(another(1))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*audit.Certificate){
		"format":    func(c *audit.Certificate) { c.Format = "" },
		"centre":    func(c *audit.Certificate) { c.Centre = "x" },
		"party":     func(c *audit.Certificate) { c.Party = "x" },
		"agreement": func(c *audit.Certificate) { c.Agreement = "x" },
		"article":   func(c *audit.Certificate) { c.Article = "x" },
		"reason":    func(c *audit.Certificate) { c.Reason = "x" },
		"withdrawn": func(c *audit.Certificate) { c.Withdrawn = after(1) },
		"records":   func(c *audit.Certificate) { c.Records++ },
		"objects":   func(c *audit.Certificate) { c.Objects = audit.DigestAll(nil) },
		"entry":     func(c *audit.Certificate) { c.Entry++ },
		"key":       func(c *audit.Certificate) { c.Key = other.Key },
		"signature": func(c *audit.Certificate) { c.Signature = other.Signature },
		"unsigned":  func(c *audit.Certificate) { c.Signature = "" },
	} {
		c := certificate(t)
		change(&c)
		if c.Verify() == nil {
			t.Errorf("%s: the change went unseen", name)
		}
	}
}

func TestDigestAllKnowsNoOrderAndNoRepeats(t *testing.T) {
	one := audit.DigestAll([][32]byte{{1}, {2}, {3}})
	if other := audit.DigestAll([][32]byte{{3}, {1}, {2}, {3}}); other != one {
		t.Errorf("%s and %s", one, other)
	}
	if other := audit.DigestAll([][32]byte{{1}, {2}}); other == one {
		t.Error("other objects have the same digest")
	}
}
