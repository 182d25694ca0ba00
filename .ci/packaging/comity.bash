complete -o default -C /usr/bin/comity comity
