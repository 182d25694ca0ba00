# For the scripts that need PostgreSQL: it installs Debian's, and starts clusters as the user
# postgres. It is sourced, in the root of the tree; $WORK becomes the present folder.
shopt -s inherit_errexit
bin=/usr/lib/postgresql/15/bin
if [ ! -x $bin/postgres ]; then
	apt-get update -qq
	mkdir -p /etc/postgresql-common
	echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
	apt-get install -y -qq --no-install-recommends postgresql-15 curl >/dev/null
fi
tree=$PWD
cd "$WORK"
chmod a+x "$WORK"
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
as_postgres() { su postgres -s /bin/bash -c "cd /; $*"; }
fail() {
	echo "FAIL: $*"
	exit 1
}

# start_postgres starts a cluster in the folder $WORK/$1 on port $2, which it makes unless it
# is there; the other arguments are flags of the server. The machine does not lose power
# here, so the disk need not be waited for.
start_postgres() {
	local folder=$WORK/$1 port=$2
	shift 2
	if [ ! -d "$folder" ]; then
		mkdir "$folder"
		chown postgres "$folder"
		as_postgres "$bin/initdb -D $folder/data -A trust -U postgres" >"$folder.initdb"
	fi
	as_postgres "$bin/pg_ctl -D $folder/data -l $folder/log -w start -o '-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$folder -c max_connections=200 -c fsync=off $*'" >"$folder.start"
}
stop_postgres() { as_postgres "$bin/pg_ctl -D $WORK/$1/data -m immediate stop" >/dev/null; }
