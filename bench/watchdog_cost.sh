#!/usr/bin/env bash
# What the watchdog and the control reduction cost of a step: bench/watchdog_cost.sh [RANKS [ROUNDS]]
#
# For configs/tiny.yaml (steps of a few ms: the harshest case) and configs/quickstart.yaml, in data-parallel ranks of one
# thread each: pairs of runs, one without the watchdog (watchdog.timeout=0) and one with it, in turns, first one, then the
# other first. A run's figure is the median step of its second half; the cost is the median over pairs of their ratio. Where
# the machine is too noisy for that, the kernel's count is exact: processor time of the watchdogs' threads as a share of the
# ranks' computing threads', over 20 s of a run of its own. The control reduction is timed by itself (bench/control_reduce.cc) and set against the same step. Needs a quiet machine with
# a core for each rank, mpirun, jq, and build/release with: ninja -C build/release weft weft_control_reduce
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh
ranks=${1:-4}
rounds=${2:-7}
build=${BUILD:-build/release}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# train CONFIG STEPS TIMEOUT
train() {
  rm -rf "$folder/run"
  mpirun -n "$ranks" --bind-to none "$build/weft" train "configs/$1.yaml" --set output="$folder/run" --set steps="$2" \
    --set data.path="$folder/$1.h5" --set watchdog.timeout="$3" --set threads=1 --set verify_parallel=never \
    --set train_micro_batch_size_per_gpu=1 --set train_batch_size=$((2 * ranks)) --set parallel.tp=1 --set checkpoint.every=0 \
    --set eval.every=0 --set eval.batches=1 --set logging.every=1000000 >"$folder/log" 2>&1
}

# step_ms CONFIG STEPS TIMEOUT: the median of the second half of the steps.
step_ms() {
  train "$@" || { cat "$folder/log" >&2; exit 1; }
  jq -s '[.[length / 2 | floor:][].step_ms] | sort | .[length / 2 | floor]' "$folder/run/metrics.jsonl"
}

# processor_ns NAME: of the threads of that name of all ranks that write to this folder; a process's first thread is "weft".
processor_ns() {
  local process task
  for process in $(pgrep -x weft); do
    tr '\0' ' ' <"/proc/$process/cmdline" | grep -q "output=$folder/run" || continue
    for task in /proc/"$process"/task/*; do
      if [[ $(<"$task/comm") == "$1" ]]; then cut -d' ' -f1 "$task/schedstat"; fi
    done
  done | jq -s add
}

# thread_share CONFIG: processor time of the watchdogs' threads in % of that of the computing ones.
thread_share() {
  local watch compute
  train "$1" 1000000 60 & local job=$!
  until [[ -s $folder/run/metrics.jsonl ]]; do sleep 0.1; done
  sleep 2
  watch=$(processor_ns weft-watchdog) compute=$(processor_ns weft)
  sleep 20
  jq -n "100 * ($(processor_ns weft-watchdog) - $watch) / ($(processor_ns weft) - $compute)"
  "$build/weft" stop "$folder/run" 2>/dev/null
  wait $job
}

median() { jq -s 'sort | .[length / 2 | floor]'; }

grep -m1 'model name' /proc/cpuinfo
echo "$ranks ranks, $(nproc) cores, $rounds pairs"
reduce_us=$(for ((i = 0; i < rounds; ++i)); do mpirun -n "$ranks" --bind-to none "$build/weft_control_reduce"; done | median)
printf '%-12s %12s %12s %12s %10s %14s %14s\n' config 'without, ms' 'with, ms' 'watchdog, %' 'thread, %' 'reduction, us' 'reduction, %'
for config in tiny quickstart; do
  case $config in tiny) steps=2000 length=64 ;; quickstart) steps=60 length=256 ;; esac
  "$build/weft" data prepare core parallel docs --to "$folder/$config.h5" --sequence-length $length >/dev/null 2>&1
  : >"$folder/without"; : >"$folder/with"; : >"$folder/ratio"
  for ((round = 0; round < rounds; ++round)); do
    if ((round % 2)); then
      with=$(step_ms $config $steps 60); without=$(step_ms $config $steps 0)
    else
      without=$(step_ms $config $steps 0); with=$(step_ms $config $steps 60)
    fi
    echo "$without" >>"$folder/without"; echo "$with" >>"$folder/with"; jq -n "100 * ($with / $without - 1)" >>"$folder/ratio"
  done
  step=$(median <"$folder/with")
  printf '%-12s %12.3f %12.3f %+12.2f %10.3f %14.2f %14.3f\n' $config "$(median <"$folder/without")" "$step" \
    "$(median <"$folder/ratio")" "$(thread_share $config)" "$reduce_us" "$(jq -n "$reduce_us / 10 / $step")"
  echo "  pairs, %: $(xargs printf '%+.2f ' <"$folder/ratio")"
done
