complete --command comity --arguments '(COMP_LINE=(commandline -cp) /usr/bin/comity)'
