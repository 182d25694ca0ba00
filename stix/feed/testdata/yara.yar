// indicator--00000001-2222-4222-8222-222222222222
import "pe"
rule good : tag { meta: a = "x" n = -1 strings: $a = "bad" nocase $b = { 4D 5A [2-4] ( 61 | ?2 ) } $c = /ba[d]+\/x/i condition: all of them and pe.is_dll() }
// indicator--00000002-2222-4222-8222-222222222222
rule silent { condition: filesize > 10 }
private rule loop { strings: $a = "x" condition: for any i in (1..#a) : ( @a[i] < 10 and silent ) }
-- left out: broken 3
-- left out: duplicate 1
-- left out: unsafe 2
