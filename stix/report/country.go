package report

import (
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// CountryName is the English name of a country, or its code if it has none.
// Unicode's names are made for lists, so names that read badly in a sentence are
// replaced.
func CountryName(code string) string {
	switch code {
	case "CC":
		return "Cocos Islands"
	case "CD":
		return "Democratic Republic of the Congo"
	case "CG":
		return "Republic of the Congo"
	case "HK":
		return "Hong Kong"
	case "MK":
		return "North Macedonia"
	case "MM":
		return "Myanmar"
	case "MO":
		return "Macao"
	case "SZ":
		return "Eswatini"
	case "TR":
		return "Türkiye"
	}
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	name := display.English.Regions().Name(region)
	if name == "" {
		return code
	}
	return strings.ReplaceAll(name, " & ", " and ")
}

// countryInText is the name as in a sentence, where some have an article.
func countryInText(code string) string {
	name := CountryName(code)
	articled := []string{"AE", "BS", "CD", "CF", "CG", "DO", "GB", "GM", "MV", "NL", "PH", "PS", "TF", "UM", "US"}
	if slices.Contains(articled, code) || strings.HasSuffix(name, " Islands") {
		return "the " + name
	}
	return name
}
