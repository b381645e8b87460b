#!/bin/sh
# Runs inside the container `setup`: docker compose run --rm setup. Makes what is missing in
# /secrets, overwrites nothing, and gives every file to the user that reads it: the programs refuse
# a secret that others could read, and Docker keeps owner and mode of the host's file.
set -eu
umask 077
programs=10001  # the user of NetSentinel's images
mysql=999       # the user of the mariadb image
cd /secrets

say() { printf 'setup: %s\n' "$*"; }
password() { openssl rand -base64 24 | tr -d '/+=\n'; echo; }

if [ ! -e authority/ca.key ]; then
  netsentinelctl certs init --dir authority
fi

# issue FOLDER ROLE NAME "HOST..."; a host is a name or an address
issue() {
  folder=$1 role=$2 name=$3
  if [ -e "tls/$folder/$name.key" ]; then
    say "tls/$folder/$name.key is there: kept"
    return
  fi
  hosts=$4
  set --
  for host in $hosts; do
    case $host in
      *:*) set -- "$@" --ip "$host" ;;
      *[!0-9.]*) set -- "$@" --dns "$host" ;;
      *) set -- "$@" --ip "$host" ;;
    esac
  done
  netsentinelctl certs issue --dir authority --role "$role" --name "$name" "$@" \
    --out "tls/$folder"
}

# NETSENTINEL_NAMES: the names and addresses at which collectors elsewhere reach this host.
issue aggregator aggregator aggregator "aggregator localhost $NETSENTINEL_NAMES"
issue notifier notifier notifier "notifier localhost"
issue operator operator operator localhost
for collector in $NETSENTINEL_COLLECTORS; do
  issue "$collector" collector "$collector" localhost
done

missing=0
# In place, those that end within 30 days; run setup monthly at least. What cannot be renewed does
# not keep the rest of this from being done.
netsentinelctl certs renew --dir authority --due || missing=1
# What is trusted and what is revoked, beside every certificate.
netsentinelctl certs publish --dir authority >published || { cat published; missing=1; }
rm -f published

# MariaDB's certificate comes from no authority: the aggregator is given it to trust.
if [ ! -e tls/mariadb/mariadb.key ]; then
  mkdir -p tls/mariadb
  openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj /CN=mariadb \
    -addext subjectAltName=DNS:mariadb -keyout tls/mariadb/mariadb.key \
    -out tls/mariadb/mariadb.crt 2>/dev/null
  say "made MariaDB's certificate"
fi
cp tls/mariadb/mariadb.crt tls/aggregator/mariadb.crt

if [ ! -e database ]; then
  password >database
  say "made the password of the database"
fi
cp database mariadb-user  # the same password, for the user that MariaDB runs as
[ -e mariadb-root ] || password >mariadb-root

for name in router smtp; do
  if [ ! -s "$name" ]; then
    say "secrets/$name is missing: write the password of the $name into it, then run this again"
    missing=1
  fi
done

chmod 0755 . tls tls/*
chmod 0700 authority
chmod 0444 tls/*/*.crt
chmod 0444 tls/*/ca.crl
chmod 0400 tls/*/*.key
chown -R "$programs:$programs" tls
chown -R "$mysql:$mysql" tls/mariadb
for name in *; do
  [ -f "$name" ] || continue
  chmod 0400 "$name"
  case $name in
    mariadb-*) chown "$mysql:$mysql" "$name" ;;
    *) chown "$programs:$programs" "$name" ;;
  esac
done
if [ $missing != 0 ]; then
  say "not everything is there: see above, then run this again"
  exit 1
fi
say "everything is there"
