#!/usr/bin/env bash
# Sends the API requests that schemathesis generates from /openapi.json, and validates the responses: no 5xx, and nothing outside of the
# description. DIR is a working folder for a lake with the samples and a virtual environment; EXAMPLES is the number of requests per operation.
#   tests/schema/check.sh DIR [EXAMPLES]
set -uo pipefail
dir=$1 examples=${2:-40} executable=${DATALAKE:-target/debug/datalake}
mkdir -p "$dir" && python3 -m venv "$dir/venv" && "$dir/venv/bin/pip" install --quiet schemathesis || exit 1
"$executable" init --lake "$dir/lake" --from examples/src-data && "$executable" process --lake "$dir/lake" || exit 1
"$executable" serve --lake "$dir/lake" --listen 127.0.0.1:18080 --log error &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null' EXIT
for _ in $(seq 100); do curl -sf -o "$dir/openapi.json" http://127.0.0.1:18080/openapi.json && break; sleep 0.2; done
# Limits the wait for a version that never exists to less than a second.
"$dir/venv/bin/python" - "$dir/openapi.json" <<'PYTHON' || exit 1
import json, sys
description = json.load(open(sys.argv[1]))
description["components"]["parameters"]["query.wait"]["schema"]["pattern"] = "^[0-9]{1,3}ms$"
json.dump(description, open(sys.argv[1], "w"))
PYTHON
# Streams of events end with their runs and are tested separately. OpenAPI cannot describe which parameters exclude each other, so that a valid
# request may be rejected. The phase "coverage" exceeds the recursion limit of Python 3.11.
# Several workers would race in a cache of Hypothesis, which is not thread-safe.
"$dir/venv/bin/schemathesis" --config-file tests/schema/schemathesis.toml run "$dir/openapi.json" --url http://127.0.0.1:18080 \
  --checks all --exclude-checks positive_data_acceptance --max-examples "$examples" --seed 1 --phases examples,fuzzing \
  --exclude-path '/runs/{run_id}/events' --request-timeout 70 --workers 1
