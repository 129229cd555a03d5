#!/usr/bin/env bash
# Lints /openapi.json with the recommended rules of Redocly and Spectral, including warnings. DIR is a working folder for the linters. Their versions
# are pinned, so that new rules do not break CI.
#   tests/clients/lint.sh DIR
set -uo pipefail
dir=$1 executable=${DATALAKE:-target/debug/datalake}
mkdir -p "$dir/lake" || exit 1
npm install --silent --no-save --no-audit --no-fund --prefix "$dir" @redocly/cli@2.77.0 @stoplight/spectral-cli@6.16.3 || exit 1
"$executable" serve --lake "$dir/lake" --listen 127.0.0.1:18082 --launcher none --log error &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null' EXIT
for _ in $(seq 100); do curl -sf -o "$dir/openapi.json" http://127.0.0.1:18082/openapi.json && break; sleep 0.2; done
# `strict` only changes the severity of the rules of `recommended`.
REDOCLY_TELEMETRY=off "$dir/node_modules/.bin/redocly" lint --extends recommended-strict --format stylish "$dir/openapi.json" || exit 1
"$dir/node_modules/.bin/spectral" lint --ruleset tests/clients/spectral.yaml --fail-severity hint "$dir/openapi.json"
