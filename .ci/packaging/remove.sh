#!/bin/sh
# Stops the service before the package is removed, not before an upgrade. The data folder
# and the user stay.
set -e
case $1 in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now comity.service comity.socket
	fi
	;;
esac
