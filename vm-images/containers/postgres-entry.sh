#!/bin/sh
# Entry of the container: a PostgreSQL server with the user, password and database that the environment names, as the image
# that people usually take has it. What it writes goes with the container.
set -eu
: "${POSTGRES_USER:=postgres}" "${POSTGRES_PASSWORD:?give POSTGRES_PASSWORD}" "${POSTGRES_DB:=$POSTGRES_USER}"

bin=$(dirname "$(readlink -f /usr/local/bin/pg_isready)")
data=/var/lib/postgresql/data
as_postgres() { setpriv --reuid postgres --regid postgres --clear-groups -- "$@"; }

install -d -o postgres -g postgres -m 755 /run/postgresql # of the lock and the local socket; systemd makes it elsewhere
if [ ! -s "$data/PG_VERSION" ]; then
	install -d -o postgres -g postgres -m 700 "$data"
	install -o postgres -g postgres -m 600 /dev/null /run/password
	printf '%s' "$POSTGRES_PASSWORD" >/run/password
	as_postgres "$bin/initdb" -D "$data" -U "$POSTGRES_USER" --pwfile /run/password -A scram-sha-256 --locale=C.UTF-8 -E UTF8 --no-sync
	rm /run/password
	echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
	if [ "$POSTGRES_DB" != postgres ]; then
		printf 'create database "%s"\n' "$POSTGRES_DB" | as_postgres "$bin/postgres" --single -D "$data" postgres
	fi
fi

# The server must not be the first process of the container: orphans of health checks would be its children, and one of them
# that is killed looks like a backend that crashed.
setpriv --reuid postgres --regid postgres --clear-groups -- "$bin/postgres" -D "$data" -c listen_addresses='*' "$@" &
server=$!
trap 'kill -INT "$server"' TERM INT
wait "$server" || true
wait "$server" # the first may have been ended by the signal
