/ipv6 firewall address-list
remove [find list="ipv6-soc-block"]
add list="ipv6-soc-block" address=2001:db8::1 timeout=21600s
add list="ipv6-soc-block" address=2001:db8:1::/48 timeout=21600s
add list="ipv6-soc-block" address=8000::/1 timeout=86400s
-- left out: covered 1
