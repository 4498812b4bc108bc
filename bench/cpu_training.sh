#!/usr/bin/env bash
# One rank on the CPU against PyTorch eager on the same cores, in turns: bench/cpu_training.sh [ROUNDS]
#
# Both train the same shapes on full sequences with one document each, with AdamW and clipping; a figure is the median
# of five steps after a warm-up step. Needs `pip install torch pyyaml`; PYTHON names the interpreter that has them.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh
weft=build/release/weft
python=${PYTHON:-python3}
threads=${THREADS:-$(nproc)}
mkdir -p runs/bench-data

# One long document, so that sequences are full and attention has no borders to stop at.
text=runs/bench-data/text.txt
cat core/* kernels/*.h kernels/*.cc data/*.cc parallel/* model/* trainer/* docs/* >"$text"
for length in 256 1024; do
  "$weft" data prepare "$text" --to runs/bench-data/$length.h5 --sequence-length $length --validation-fraction 0 2>/dev/null
done

# weft_tokens_per_s CONFIG PRECISION [SET...]: the median of steps 2 to 6.
weft_tokens_per_s() {
  local config=$1 precision=$2 output=runs/bench-run
  shift 2
  rm -rf $output
  "$weft" train "$config" --set device=cpu --set steps=6 --set output=$output --set precision="$precision" \
    --set threads="$threads" "$@" >/dev/null 2>&1
  jq -s '[.[1:][].tokens_per_s] | sort | .[2]' $output/metrics.jsonl
  rm -rf $output
}

torch_tokens_per_s() {
  "$python" bench/torch_cpu.py --shape "$1" --precision "$2" --threads "$threads" --steps 5 |
    jq -s 'map(.tokens_per_s // empty) | max'
}

grep -m1 'model name' /proc/cpuinfo
grep -m1 -o -w -e avx2 -e avx512f -e avx512_bf16 -e amx_bf16 /proc/cpuinfo | sort -u | xargs
"$python" -c 'import torch; print("torch", torch.__version__)'
echo "$threads threads"
printf '%-12s %-10s %12s %12s %8s\n' shape precision weft torch ratio
for ((round = 0; round < ${1:-1}; ++round)); do
  for precision in f32 bf16; do
    for shape in quickstart 160m; do
      if [[ $shape == 160m ]]; then
        ours=$(weft_tokens_per_s bench/llama-160m.yaml $precision)
      else
        ours=$(weft_tokens_per_s configs/quickstart.yaml $precision --set data.path=runs/bench-data/256.h5 --set train_batch_size=8)
      fi
      theirs=$(torch_tokens_per_s $shape $precision)
      printf '%-12s %-10s %12.0f %12.0f %8.2f\n' $shape $precision "$ours" "$theirs" "$(jq -n "$ours / $theirs")"
    done
  done
done
