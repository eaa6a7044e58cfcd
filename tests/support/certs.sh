#!/usr/bin/env bash
# certs.sh DIR [USER...]: the certificates of a test, P-256, valid for a month.
#
#   ca.crt ca.key                  our own CA
#   server.crt server.key          for localhost, 127.0.0.1, ::1
#   rsa.crt rsa.key                the same with RSA 2048
#   othername.crt othername.key    our CA, but for somewhere-else.example
#   expired.crt expired.key        our CA, but of long ago
#   stranger-ca.crt                another CA
#   stranger.crt stranger.key      for localhost, of that other CA
#   USER.crt USER.key              a client's certificate, CN=USER
set -euo pipefail

dir=$1
shift
mkdir -p "$dir"
cd "$dir"
umask 077

quietly() {
    local said
    said=$("$@" 2>&1) || {
        printf '%s\n' "$said" >&2
        exit 1
    }
}

key() { # NAME [KIND]
    if [ "${2:-ec}" = rsa ]; then
        quietly openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1.key"
    else
        quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
    fi
}

authority() { # NAME CN
    key "$1"
    quietly openssl req -new -x509 -key "$1.key" -out "$1.crt" -days 30 -subj "/CN=$2" \
        -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign,cRLSign
}

certificate() { # NAME CN EXTENSIONS CA [KIND]
    key "$1" "${5:-ec}"
    quietly openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
    printf '%b' "$3" >"$1.ext"
    quietly openssl x509 -req -in "$1.csr" -CA "$4.crt" -CAkey "$4.key" -CAcreateserial -days "${days:-30}" \
        -extfile "$1.ext" -out "$1.crt"
    rm "$1.csr" "$1.ext"
}

local_names='subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n'

authority ca 'Sluice test CA'
authority stranger-ca 'A stranger'
certificate server localhost "$local_names" ca
certificate rsa localhost "$local_names" ca rsa
certificate stranger localhost "$local_names" stranger-ca
certificate othername somewhere-else.example 'subjectAltName=DNS:somewhere-else.example\n' ca
days=-1 certificate expired localhost "$local_names" ca
for user in "$@"; do
    certificate "$user" "$user" 'extendedKeyUsage=clientAuth\n' ca
done
chmod 644 ./*.crt
