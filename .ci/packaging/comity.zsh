#compdef comity
compadd -- ${(f)"$(COMP_LINE="${words[1,CURRENT]}" /usr/bin/comity)"} || _files
