#!/usr/bin/env bash
# certificate.sh ARN SECRET [REGION]: brings a certificate of ACM to the proxies, as the secret that
# listen.tls.certificate_secret and key name: {"certificate": chain, "key": key}, PEM.
#
# One of a private CA, or a public one that was asked for as exportable:
#   aws acm request-certificate --domain-name sluice.example.com --certificate-authority-arn ARN-OF-CA
#   aws acm request-certificate --domain-name sluice.example.com --validation-method DNS --options Export=ENABLED
# ACM renews it; run this again then (an alarm of sluice.yaml says when). Proxies look again at every secret_refresh.
# The caller needs acm:ExportCertificate, secretsmanager:CreateSecret, PutSecretValue; aws, openssl, python3.
set -euo pipefail
[ $# -ge 2 ] || {
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
arn=$1 secret=$2 region=${3:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}
export AWS_PAGER='' AWS_DEFAULT_REGION=$region
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

openssl rand -hex 24 | tr -d '\n' >"$work/passphrase"
aws acm export-certificate --certificate-arn "$arn" --passphrase "fileb://$work/passphrase" --output json >"$work/exported" 2>"$work/said" || {
    printf 'certificate: ACM does not give it out: %s\n' "$(grep -v '^$' "$work/said" | head -1)" >&2
    printf '        do: ask for one with --options Export=ENABLED, or of a private CA; the caller needs acm:ExportCertificate\n' >&2
    exit 1
}
python3 - "$work" <<'PY'
import json, sys
work = sys.argv[1]
exported = json.load(open(f"{work}/exported"))
open(f"{work}/chain", "w").write("\n".join(exported[k].strip() for k in ("Certificate", "CertificateChain") if exported.get(k)) + "\n")
open(f"{work}/sealed", "w").write(exported["PrivateKey"])
PY
openssl pkey -in "$work/sealed" -passin "file:$work/passphrase" -out "$work/key" 2>"$work/said" || {
    printf 'certificate: the key cannot be opened: %s\n' "$(head -1 "$work/said")" >&2
    exit 1
}
[ "$(openssl x509 -in "$work/chain" -noout -pubkey)" = "$(openssl pkey -in "$work/key" -pubout)" ] || {
    printf 'certificate: the key does not belong to the certificate\n' >&2
    exit 1
}
python3 - "$work" <<'PY' >"$work/secret"
import json, sys
print(json.dumps({"certificate": open(f"{sys.argv[1]}/chain").read(), "key": open(f"{sys.argv[1]}/key").read()}))
PY
if ! aws secretsmanager put-secret-value --secret-id "$secret" --secret-string "file://$work/secret" >/dev/null 2>"$work/said"; then
    grep -q ResourceNotFound "$work/said" || {
        printf 'certificate: %s\n' "$(grep -v '^$' "$work/said" | head -1)" >&2
        exit 1
    }
    aws secretsmanager create-secret --name "$secret" --description 'Certificate and key of Sluice' --secret-string "file://$work/secret" >/dev/null
fi
printf 'certificate: %s, good until %s, is in %s\n' "$(openssl x509 -in "$work/chain" -noout -subject)" \
    "$(openssl x509 -in "$work/chain" -noout -enddate | cut -d= -f2)" "$secret"
