#!/usr/bin/env bash
# Runs every fuzz target with the sanitizers: tests/fuzz/run.sh [SECONDS] [PROCESSES]. Each target takes that long (600 s
# unless named), with so many processes of different random numbers (1); as many targets at a time as there are cores. Seeds are the
# repository's own files and, where WEFT_FIXTURES names them, real ones. WEFT_FUZZ_BUILD names a build folder that holds
# the targets already. Exit status 0: nothing crashed, leaked, took 30 s, or took more than 4 GB.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-600} processes=${2:-1}
targets=(config json safetensors tokenizer template records table)
if [[ -z ${WEFT_FUZZ_BUILD:-} ]]; then
  WEFT_FUZZ_BUILD=build/asan
  cmake --preset asan >/dev/null
  cmake --build --preset asan --target $(printf 'weft_%s_fuzz ' "${targets[@]}")
fi
build=$(cd "$WEFT_FUZZ_BUILD" && pwd)
root=$PWD fixtures=${WEFT_FIXTURES:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

seeds_of() {  # a line a file; small ones, so that an input takes little time
  case $1 in
    config) ls configs/*.yaml ${fixtures:+"$fixtures"/configs/deepspeed/*.json} ;;
    json) ls tests/golden/*/model/config.json ${fixtures:+"$fixtures"/configs/*/*.json "$fixtures"/suites/JSONTestSuite/*/*.json} \
      tests/fuzz/seeds/{chat,completion,rope}.json ;;
    safetensors)
      ls tests/golden/*/model/model.safetensors
      if [[ -n $fixtures ]]; then find "$fixtures/suites/safetensors/files" -type f; fi ;;
    tokenizer) ls tests/fuzz/seeds/tokenizer.json ${fixtures:+"$fixtures"/models/stories260K/hf/tokenizer.*} ;;
    template) ls tests/fuzz/seeds/*.jinja ${fixtures:+"$fixtures"/templates/jinja/*.jinja} ;;
    records) ls tests/fuzz/seeds/{json_lines.txt,rows.csv,keyed.json,list.json} ;;
    table) ls tests/fuzz/seeds/table.yaml examples/*/table.yaml ;;
  esac | while read -r file; do find "$file" -size -512k; done
}

run_one() {  # TARGET PROCESS
  local folder=$work/$1-$2 files
  mkdir -p "$folder"
  mapfile -t files < <(seeds_of "$1" | xargs realpath)
  cd "$folder"
  if ASAN_OPTIONS=hard_rss_limit_mb=4096 "$build/weft_$1_fuzz" "$seconds" "$2" "${files[@]}" >output 2>&1; then
    tail -1 output
  else
    tail -40 output
    echo "$1: FAILED, random numbers $2; the input:" && head -c 2000 last_input | cat -v && echo
    return 1
  fi
}
export -f run_one seeds_of
export build seconds fixtures work
for target in "${targets[@]}"; do
  for ((process = 1; process <= processes; ++process)); do echo "$target $process"; done
done | xargs -P "$(nproc)" -L 1 bash -c 'cd "$0" && run_one "$1" "$2"' "$root"
