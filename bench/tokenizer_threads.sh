#!/usr/bin/env bash
# How encoding scales with threads: bench/tokenizer_threads.sh TOKENIZER TEXT_FILE [THREADS...]
#
# Encodes 16 copies of the text on 1, 2, 4, ... threads up to the machine's cores, or on those named; the best of five
# runs. Wants an idle machine. Build first: ninja -C build/release weft_tokenizer_speed
set -euo pipefail
cd "$(dirname "$0")/.."
tokenizer=$1 text=$2
shift 2
threads=("$@")
if [ $# -eq 0 ]; then
  for ((n = 1; n < $(nproc); n *= 2)); do threads+=("$n"); done
  threads+=("$(nproc)")
fi
copies=$(mktemp)
trap 'rm -f "$copies"' EXIT
for _ in {1..16}; do cat "$text"; done >"$copies"
build/release/weft_tokenizer_speed "$tokenizer" "$copies" "${threads[@]}"
