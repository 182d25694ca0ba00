package feed

import (
	"cmp"
	"fmt"
	"strconv"
)

// The lines of packet filters. Where the hold of a feed or the end of an entry bounds it, an
// entry has a time after which the filter forgets it by itself.

// nftHead replaces the content of the set KIND-FEED of the table comity in one transaction
// (nftables). The set has no auto-merge, which would make one range of neighbours and give
// all of them the time of the first.
func nftHead(b []byte, w *writing) []byte {
	typ := "ipv4_addr"
	if w.Kinds.Has(IPv6) {
		typ = "ipv6_addr"
	}
	return fmt.Appendf(b, "add table inet comity\nadd set inet comity %[1]s { type %[2]s; flags interval, timeout; }\nflush set inet comity %[1]s\n", w.setName(), typ)
}

func nftOpen(b []byte, w *writing) []byte {
	return fmt.Appendf(b, "add element inet comity %s {\n", w.setName())
}

func nftLine(b []byte, w *writing, e *Entry) []byte {
	b = append(b, e.Text...)
	if seconds, bounded := w.hold(e); bounded {
		b = append(strconv.AppendInt(append(b, " timeout "...), seconds, 10), 's')
	}
	return append(b, ",\n"...)
}

func nftEnd(b []byte, _ *writing) []byte { return append(b, "}\n"...) }

// setName is the name of the set of a list, such as "ipv4-soc-block".
func (w *writing) setName() string {
	for kind := range w.Kinds.All() {
		return kind.String() + "-" + w.Feed
	}
	return w.Feed
}

// maxSetName is the longest name of a set of ipset.
const maxSetName = 31

// ipsetHead makes the set and an empty one beside it, which ipsetFoot swaps for it when
// it is filled. It is read by ipset -exist restore.
func ipsetHead(b []byte, w *writing) []byte {
	family := "inet"
	if w.Kinds.Has(IPv6) {
		family = "inet6"
	}
	for _, name := range []string{w.ipsetName(""), w.ipsetName("+")} {
		b = fmt.Appendf(b, "create %s hash:net family %s timeout 0 maxelem %d\n", name, family, cmp.Or(w.MaxEntries, w.format.MaxEntries))
	}
	return fmt.Appendf(b, "flush %s\n", w.ipsetName("+"))
}

func ipsetLine(b []byte, w *writing, e *Entry) []byte {
	b = append(append(append(append(b, "add "...), w.ipsetName("+")...), ' '), e.Text...)
	if seconds, bounded := w.hold(e); bounded {
		b = strconv.AppendInt(append(b, " timeout "...), min(seconds, 2147483), 10)
	}
	return append(b, '\n')
}

func ipsetFoot(b []byte, w *writing) []byte {
	return fmt.Appendf(b, "swap %[1]s %[2]s\ndestroy %[1]s\n", w.ipsetName("+"), w.ipsetName(""))
}

// ipsetName is the name of the set, or of the one beside it.
func (w *writing) ipsetName(suffix string) string {
	name := w.setName()
	return name[:min(len(name), maxSetName-1)] + suffix
}

// rscHead empties an address list of RouterOS.
func rscHead(b []byte, w *writing) []byte {
	family := "ip"
	if w.Kinds.Has(IPv6) {
		family = "ipv6"
	}
	return fmt.Appendf(b, "/%s firewall address-list\nremove [find list=%q]\n", family, w.setName())
}

func rscLine(b []byte, w *writing, e *Entry) []byte {
	b = fmt.Appendf(b, "add list=%q address=%s", w.setName(), e.Text)
	if seconds, bounded := w.hold(e); bounded {
		b = fmt.Appendf(b, " timeout=%ds", seconds)
	}
	return append(b, '\n')
}
