#!/usr/bin/env bash
# Generates clients from /openapi.json and compiles them. The clients in Python and Go then use a server without a token and one that protects reads;
# the client in TypeScript reads rows. DIR is a working folder for a lake with the samples, the generators and their output.
#   tests/clients/check.sh DIR
set -uo pipefail
here=$(realpath "$(dirname "$0")") executable=$(realpath "${DATALAKE:-target/debug/datalake}")
open=http://127.0.0.1:18083 protected=http://127.0.0.1:18084 token=a-token-of-the-tests
mkdir -p "$1" && dir=$(realpath "$1") || exit 1

# Compiling the crates of the Rust client takes longest, so it runs in parallel with the other generators.
generate() { # generator folder properties
  java -jar "$dir"/venv/lib/python*/site-packages/openapi_generator_cli/openapi-generator.jar generate --input-spec "$dir/openapi.json" \
    --generator-name "$1" --output "$dir/$2" --additional-properties "$3" \
    --global-property models,apis,supportingFiles,modelTests=false,apiTests=false,modelDocs=false,apiDocs=false >"$dir/$1.log" 2>&1 ||
    { cat "$dir/$1.log"; return 1; }
}

rust() {
  generate rust rust packageName=datalake-client,packageVersion=0.0.0,reqwestDefaultFeatures= && cp "$here/rust/Cargo.lock" "$dir/rust" || return 1
  CARGO_TARGET_DIR=$dir/rust/target RUSTFLAGS='' cargo check --quiet --locked --manifest-path "$dir/rust/Cargo.toml" 2>"$dir/cargo.log" ||
    { cat "$dir/cargo.log"; return 1; }
  echo 'compiles: rust'
}

python() {
  PATH=$dir/venv/bin:$PATH openapi-python-client generate --path "$dir/openapi.json" --config "$here/openapi-python-client.yaml" --meta none \
    --output-path "$dir/python/by_openapi_python_client_generated" --fail-on-warning || return 1
  generate python python/generator packageName=by_openapi_generator_generated || return 1
  export PYTHONPATH=$dir/python:$dir/python/generator
  "$dir/venv/bin/python" -m compileall -q "$dir/python" || return 1
  local client
  for client in by_openapi_python_client by_openapi_generator; do
    "$dir/venv/bin/python" "$here/$client.py" "$open" && "$dir/venv/bin/python" "$here/$client.py" "$protected" "$token" || return 1
    echo "passes: $client"
  done
}

go_client() {
  mkdir -p "$dir/go" && cp "$here"/go/* "$dir/go" && generate go go/datalake packageName=datalake,withGoMod=false || return 1
  (cd "$dir/go" && go vet ./... && go build -o client .) && "$dir/go/client" "$open" && "$dir/go/client" "$protected" "$token" || return 1
  echo 'passes: go'
}

typescript() {
  npm install --silent --no-save --no-audit --no-fund --prefix "$dir/typescript" typescript@7.0.2 &&
    cp "$here/typescript/main.ts" "$dir/typescript" && generate typescript-fetch typescript/generated importFileExtension=.js || return 1
  echo '{"type":"module"}' >"$dir/typescript/package.json"
  (cd "$dir/typescript" && node_modules/.bin/tsc --strict --target es2022 --module nodenext --lib es2022,dom --outDir compiled main.ts) &&
    node "$dir/typescript/compiled/main.js" "$open" || return 1
  echo 'passes: typescript'
}

await() { # address
  local _; for _ in $(seq 100); do curl -sf -o "$dir/openapi.json" -H "authorization: Bearer $token" "$1/openapi.json" && return; sleep 0.2; done
  echo "$1 does not respond"; return 1
}

python3 -m venv "$dir/venv" && "$dir/venv/bin/pip" install --quiet -r "$here/requirements.txt" || exit 1
"$executable" init --lake "$dir/lake" --samples && "$executable" process --lake "$dir/lake" || exit 1
echo "$token" >"$dir/token"
"$executable" serve --lake "$dir/lake" --listen "${open#http://}" --launcher process --log error & servers=($!)
"$executable" serve --lake "$dir/lake" --listen "${protected#http://}" --launcher process --log error --token-file "$dir/token" --protect-reads & servers+=($!)
trap 'kill "${servers[@]}" 2>/dev/null; wait "${servers[@]}" 2>/dev/null' EXIT
await "$protected" && await "$open" || exit 1

failed=0
rust & compiling=$!
python || failed=1
go_client || failed=1
typescript || failed=1
wait $compiling || failed=1
exit $failed
