#!/usr/bin/env bash
# Asks the API what schemathesis makes up from /openapi.json, and holds the answers against it: no 5xx, nothing that the description does
# not say. DIR takes a lake of the samples and the environment of PyPI's schemathesis; EXAMPLES is the number of requests an operation.
#   tests/schema/check.sh DIR [EXAMPLES]
set -uo pipefail
dir=$1 examples=${2:-40} executable=${DATALAKE:-target/debug/datalake}
mkdir -p "$dir" && python3 -m venv "$dir/venv" && "$dir/venv/bin/pip" install --quiet schemathesis || exit 1
"$executable" init --lake "$dir/lake" --from examples/src-data && "$executable" process --lake "$dir/lake" || exit 1
"$executable" serve --lake "$dir/lake" --listen 127.0.0.1:18080 --log error &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null' EXIT
for _ in $(seq 100); do curl -sf -o "$dir/openapi.json" http://127.0.0.1:18080/openapi.json && break; sleep 0.2; done
# A request that waits for a version that never comes takes as long as it says: here, less than a second.
"$dir/venv/bin/python" - "$dir/openapi.json" <<'PYTHON' || exit 1
import json, sys
description = json.load(open(sys.argv[1]))
description["components"]["parameters"]["query.wait"]["schema"]["pattern"] = "^[0-9]{1,3}ms$"
json.dump(description, open(sys.argv[1], "w"))
PYTHON
# A stream of events is as long as its run: it is tested elsewhere. Which parameters exclude each other no description can say, so that a
# request may be refused that it allows; the phase "coverage" recurses too deep for Python 3.11;
# and two workers now and then meet in a cache of Hypothesis, which is not made for threads.
"$dir/venv/bin/schemathesis" --config-file tests/schema/schemathesis.toml run "$dir/openapi.json" --url http://127.0.0.1:18080 \
  --checks all --exclude-checks positive_data_acceptance --max-examples "$examples" --seed 1 --phases examples,fuzzing \
  --exclude-path '/runs/{run_id}/events' --request-timeout 70 --workers 1
