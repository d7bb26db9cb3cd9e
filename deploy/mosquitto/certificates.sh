#!/bin/sh
# An own authority for the certificates of broker, collectors and agents: openssl, with the names checked.
# Keep the folder on a machine that is neither broker nor agent: who has it can become anybody.
set -eu
umask 077

usage() {
	cat <<'END'
usage: certificates.sh COMMAND [ARGUMENT...]     (the folder: JAUGE_AUTHORITY, or ./authority)

  new-authority                    begin an authority, with an empty list of what is revoked
  broker HOST [ADDRESS...]         the broker's certificate, for these host names and addresses
  collector [NAME]                 a collector's; NAME (collector) stands in access.acl
  agent SITE/AGENT [REQUEST.csr]   an agent's; of a request only the key is taken, never the name
  relay SITE/NAME AGENT...         that of a broker that hands on what these agents of its site say
  revoke NAME                      every certificate of that name; writes revoked.pem anew
  list                             what was issued: state, end, serial number, name

New certificates lie in issued/NAME: certificate.pem, key.pem (unless there was a request) and
authority.pem; the broker's with revoked.pem; a relay's with access.acl, to append to the broker's,
and bridge.conf, to append to the mosquitto.conf of the relay. Issuing again renews; the old one stays good until
it ends or the name is revoked. Days: JAUGE_DAYS (397; the authority 3650). A request for broker, collector or relay:
JAUGE_REQUEST=FILE.
END
}

fail() {
	printf 'certificates.sh: %s\n' "$*" >&2
	exit 2
}

authority=${JAUGE_AUTHORITY:-./authority}
days=${JAUGE_DAYS:-}

is_name() {
	case $1 in
	'' | [!A-Za-z0-9]* | *[!A-Za-z0-9._:-]*) return 1 ;;
	esac
	[ "${#1}" -le 128 ]
}

check_name() {
	is_name "$1" || fail "'$1' is not a name: letters, digits and . _ : - (a letter or digit first)"
}

check_agent() {
	case $1 in
	*/*/* | /* | */) fail "'$1' is not SITE/AGENT" ;;
	*/*) check_name "${1%%/*}" && check_name "${1#*/}" ;;
	*) fail "'$1' is not SITE/AGENT" ;;
	esac
	# X.520 leaves a common name no more room, and openssl keeps to it.
	[ "${#1}" -le 64 ] || fail "'$1' is longer than the 64 characters of a common name"
}

check_days() {
	case $1 in
	'' | 0* | *[!0-9]*) fail "JAUGE_DAYS='$1' is no number of days" ;;
	esac
}

quietly() {
	said=$("$@" 2>&1) || {
		printf '%s\n' "$said" >&2
		fail "openssl failed"
	}
}

need_authority() {
	[ -f "$authority/authority.key" ] || fail "no authority in $authority: run new-authority, or set JAUGE_AUTHORITY"
}

new_key() {
	quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1"
}

# The list holds as long as the authority: it is handed over, not fetched, so a date on it would
# protect nothing and lock everybody out when it passes.
write_revoked() {
	end=$(openssl x509 -in "$authority/authority.pem" -noout -enddate -dateopt iso_8601 | tr -cd '0-9Z')
	quietly openssl ca -config "$authority/openssl.cnf" -gencrl -crl_nextupdate "$end" -out "$authority/revoked.new"
	mv "$authority/revoked.new" "$authority/revoked.pem"
}

new_authority() {
	[ ! -e "$authority/authority.key" ] || fail "$authority has an authority already"
	mkdir -p "$authority/certificates"
	lifetime=${days:-3650}
	check_days "$lifetime"
	: >"$authority/index.txt"
	printf 'unique_subject = no\n' >"$authority/index.txt.attr"
	printf '01\n' >"$authority/crlnumber"
	cat >"$authority/openssl.cnf" <<'END'
[ca]
default_ca = authority
[authority]
dir = $ENV::JAUGE_AUTHORITY
database = $dir/index.txt
crlnumber = $dir/crlnumber
new_certs_dir = $dir/certificates
certificate = $dir/authority.pem
private_key = $dir/authority.key
rand_serial = yes
default_md = sha256
email_in_dn = no
copy_extensions = none
policy = name
[name]
commonName = supplied
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $ENV::JAUGE_NAMES
END
	new_key "$authority/authority.key"
	# Not among the sections above: openssl would read them with every certificate.
	# The name is no other authority's: lists of what is revoked are found by it.
	quietly openssl req -new -x509 -key "$authority/authority.key" -out "$authority/authority.pem" \
		-days "$lifetime" -subj "/CN=Jauge authority $(date -u +%Y-%m-%d) $(openssl rand -hex 4)" \
		-addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign
	write_revoked
	printf '%s\n' "$authority/authority.pem"
}

# issue NAME SECTION [REQUEST]
issue() {
	need_authority
	lifetime=${days:-397}
	check_days "$lifetime"
	folder=$authority/issued/$1
	mkdir -p "$folder"
	request=${3:-${JAUGE_REQUEST:-}}
	if [ -n "$request" ]; then
		[ -r "$request" ] || fail "$request cannot be read"
	else
		new_key "$folder/key.new"
		request=$folder/request.new
		quietly openssl req -new -key "$folder/key.new" -out "$request" -subj /CN=request
	fi
	subject=$(printf '%s' "$1" | sed 's,/,\\/,g')
	quietly openssl ca -config "$authority/openssl.cnf" -batch -notext -days "$lifetime" \
		-extensions "$2" -subj "/CN=$subject" -in "$request" -out "$folder/certificate.new"
	if [ "$request" = "$folder/request.new" ]; then
		rm "$request"
		mv "$folder/key.new" "$folder/key.pem"
	fi
	mv "$folder/certificate.new" "$folder/certificate.pem"
	cp "$authority/authority.pem" "$folder/authority.pem"
	printf '%s\n' "$folder"
}

broker() {
	[ $# -ge 1 ] || fail "broker needs a host name"
	JAUGE_NAMES=
	for name in "$@"; do
		case $name in
		*:*[!0-9A-Fa-f:.]* | *[!0-9A-Fa-f:.]*:*) fail "'$name' is no address" ;;
		*:*) kind=IP ;;
		*[!0-9.]*)
			check_name "$name"
			kind=DNS
			;;
		*) kind=IP ;;
		esac
		JAUGE_NAMES=$JAUGE_NAMES${JAUGE_NAMES:+,}$kind:$name
	done
	export JAUGE_NAMES
	issue broker server
	cp "$authority/revoked.pem" "$authority/issued/broker/revoked.pem"
}

# relay SITE/NAME AGENT...
relay() {
	name=$1
	shift
	[ $# -ge 1 ] || fail "relay needs the names of the agents that it speaks for"
	for agent in "$@"; do
		check_name "$agent"
		check_agent "${name%%/*}/$agent"
	done
	folder=$(issue "$name" client)
	{
		printf '\n# The relay %s speaks for these agents and for no other.\n\nuser %s\n' "$name" "$name"
		for agent in "$@"; do
			for channel in readings birth state; do
				printf 'topic write jauge/v1/%s/%s/%s\n' "${name%%/*}" "$agent" "$channel"
			done
			printf 'topic read jauge/v1/%s/%s/ack\n' "${name%%/*}" "$agent"
		done
	} >"$folder/access.acl"
	# Topics are listed one by one: a wildcard would hand on what the broker denies, which ends the
	# connection for all. Notifications would be such a topic too.
	{
		cat <<END

connection jauge
address BROKER:8883
bridge_cafile /etc/mosquitto/relay/authority.pem
bridge_certfile /etc/mosquitto/relay/certificate.pem
bridge_keyfile /etc/mosquitto/relay/key.pem
bridge_tls_version tlsv1.2
remote_clientid $name
notifications false
cleansession true
restart_timeout 1 30
END
		for agent in "$@"; do
			for channel in readings birth state; do
				printf 'topic jauge/v1/%s/%s/%s out 1\n' "${name%%/*}" "$agent" "$channel"
			done
			printf 'topic jauge/v1/%s/%s/ack in 0\n' "${name%%/*}" "$agent"
		done
	} >"$folder/bridge.conf"
	printf '%s\n' "$folder"
}

revoke() {
	need_authority
	serials=$(listed | awk -v name="$1" '$1 == "V" && $4 == name { print $3 }')
	[ -n "$serials" ] || fail "no valid certificate of '$1'"
	for serial in $serials; do
		quietly openssl ca -config "$authority/openssl.cnf" -revoke "$authority/certificates/$serial.pem"
	done
	write_revoked
	if [ -d "$authority/issued/broker" ]; then
		cp "$authority/revoked.pem" "$authority/issued/broker/revoked.pem"
	fi
	printf '%s\n' "$authority/revoked.pem"
}

# Every certificate issued: state (V, R: revoked, E), end, serial number, name; openssl escapes the /.
listed() {
	awk -F '\t' '{ sub("^/CN=", "", $6); gsub(/\\/, "", $6); print $1, $2, $4, $6 }' "$authority/index.txt"
}

[ $# -ge 1 ] || {
	usage >&2
	exit 2
}
command=$1
shift
# For openssl.cnf, which names the folder by it.
JAUGE_AUTHORITY=$authority
JAUGE_NAMES=${JAUGE_NAMES:-DNS:unused}
export JAUGE_AUTHORITY JAUGE_NAMES

case $command in
new-authority) new_authority ;;
broker) broker "$@" ;;
collector)
	name=${1:-collector}
	check_name "$name"
	[ "$name" != broker ] || fail "that name is the broker's"
	issue "$name" client
	;;
agent)
	[ $# -ge 1 ] || fail "agent needs SITE/AGENT"
	check_agent "$1"
	issue "$1" client "${2:-}"
	;;
relay)
	[ $# -ge 1 ] || fail "relay needs SITE/NAME"
	check_agent "$1"
	relay "$@"
	;;
revoke)
	[ $# -eq 1 ] || fail "revoke needs a name"
	revoke "$1"
	;;
list)
	need_authority
	listed
	;;
-h | --help | help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
