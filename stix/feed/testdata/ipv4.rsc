/ip firewall address-list
remove [find list="ipv4-soc-block"]
add list="ipv4-soc-block" address=96.0.0.0/3 timeout=86400s
add list="ipv4-soc-block" address=198.51.100.0/24 timeout=86400s
add list="ipv4-soc-block" address=203.0.113.7 timeout=86400s
add list="ipv4-soc-block" address=203.0.113.9 timeout=21600s
-- left out: covered 2
