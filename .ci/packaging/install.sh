#!/bin/sh
# Makes the user of the service and its data folder. After an upgrade the service runs the
# new version.
set -e
if ! getent passwd comity >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/comity --shell /usr/sbin/nologin comity
fi
install -d -m 0700 -o comity -g comity /var/lib/comity
chgrp comity /etc/comity
chmod 0750 /etc/comity # for the private key of a certificate
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart comity.service
fi
