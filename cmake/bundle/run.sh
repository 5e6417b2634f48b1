#!/bin/sh
# run.sh [SECONDS] [FOLDER] runs, within so many seconds (600 unless told otherwise), what only a machine with a GPU can
# tell: a device check, the parity tests, the examples, compute-sanitizer where it is installed, the benchmarks. It
# needs a driver and CUDA 13's libraries.
#
# FOLDER, ./cuda-results unless told otherwise, gets what the steps print, while they run, and summary.txt, a line for
# each step: its name, its exit status and the seconds it took. A step that took longer than its part of the time has
# status 124, one that was not run has a word. The exit status is 0 if all tests and examples passed and nothing else
# failed; sanitizer and benchmarks may run out of time.

set -u

say() { echo "run.sh: $*" >&2; }

seconds=${1:-600} results=${2:-cuda-results}
case $seconds in
  *[!0-9]*) say "usage: run.sh [SECONDS] [FOLDER]"; exit 2 ;;
esac
command -v timeout >/dev/null || { say "there is no program \`timeout\` here, which is part of coreutils"; exit 2; }

mkdir -p -- "$results" && results=$(CDPATH='' cd -- "$results" && pwd) || exit 2
CDPATH='' cd -- "$(dirname -- "$0")" || exit 2  # models are named from here
summary=$results/summary.txt
for file in device parity examples sanitizer benchmarks summary; do
  : >"$results/$file.txt" || exit 2
done

# CUDA's libraries: where the caller says, where the toolkit is usually installed, where PyTorch brings its own.
toolkit=${CUDA_HOME:-/usr/local/cuda}
python_folder=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2>/dev/null)
for folder in "$toolkit/lib64" /usr/local/cuda-13*/lib64 /usr/local/nvidia/lib64 "$python_folder/nvidia/cu13/lib"; do
  [ ! -d "$folder" ] || LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
export LD_LIBRARY_PATH
export TRIMTAB_REQUIRE_DEVICE=1  # a test that would skip fails instead

now() { date +%s; }
end=$(($(now) + seconds))
share_end=$end  # of the steps that follow
optional=no     # whether the steps that follow may run out of time
failed=no       # whether a step did
running=        # the process of the step
trap '[ -z "$running" ] || kill "$running" 2>/dev/null; say "stopped: see $summary"; exit 143' HUP INT TERM

# share PERCENT gives the steps that follow that part of the time that is left.
share() { share_end=$(($(now) + (end - $(now)) * $1 / 100)); }

# note NAME STATUS SECONDS TEXT adds a line to the summary.
note() { printf '%-21s %9s %4s s  %s\n' "$1" "$2" "$3" "$4" | tee -a "$summary" >&3; }

# step FILE NAME PERCENT COMMAND... runs a command for at most that part of what is left of the share.
step() {
  file=$results/$1.txt name=$2 limit=$(((share_end - $(now)) * $3 / 100))
  shift 3
  started=$(now)
  status=no-time
  if [ "$limit" -ge 1 ]; then
    echo "== $name: $*" >>"$file"
    timeout -k 1 "$limit" "$@" >>"$file" 2>&1 &
    running=$!
    wait "$running"
    status=$?
    running=
  fi
  note "$name" "$status" $(($(now) - started)) "$*"
  case $status in
    0) ;;
    124 | no-time) [ $optional = yes ] || failed=yes ;;
    *) failed=yes ;;
  esac
  [ "$status" = 0 ]
}

# Without a device this script prints one sentence, so nothing is printed before the device check is over.
exec 3>/dev/null
no_device() {
  case $status in
    124 | 137 | no-time) say "the device check did not end within its part of $seconds seconds" ;;
    *) say "there is no CUDA device that these programs could use: $(tail -n 1 "$results/device.txt")" ;;
  esac
  exit 1
}
if command -v nvidia-smi >/dev/null; then
  step device nvidia-smi 50 nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || no_device
else
  note nvidia-smi not-found 0 "the first program decides"
fi
step device first-program 60 \
  bin/trimtab logits --backend cuda --model models/tiny-gpt2 --prompt "The capital of France is" --top 3 || no_device
cat "$results/device.txt" "$summary"
exec 3>&1

# Each test is a process of its own: a kernel that hangs, or a device that is lost, costs one test.
share 60
no_such_test=NoTests  # how Catch2 2 is told to fail for a name that no test has
tests=$(bin/parity_cuda --list-test-names-only 2>/dev/null)
if [ -z "$tests" ]; then  # Catch2 3
  no_such_test=UnmatchedTestSpec
  tests=$(bin/parity_cuda --list-tests --verbosity quiet)
fi
number=0
while IFS= read -r test <&4; do
  number=$((number + 1))
  step parity "parity-$number" 30 bin/parity_cuda -w $no_such_test "$(printf '%s' "$test" | sed 's/[][,\\]/\\&/g')"
done 4<<END
$tests
END

share 50
for example in first_steering own_policy own_term; do
  step examples "$example" 50 "bin/${example}_cuda"
done
step examples fit 50 bin/trimtab fit --backend cuda --model models/tiny-pythia --task ccc --steps 50

# Operations alone, which run every kind of kernel. In a build of the preset `cuda`, `ctest -L compute-sanitizer` takes
# all tests.
optional=yes
share 60
if sanitizer=$(PATH=$PATH:$toolkit/bin:$toolkit/compute-sanitizer && command -v compute-sanitizer); then
  for tool in memcheck racecheck initcheck synccheck; do
    step sanitizer $tool 50 env TRIMTAB_REPEATS=1 "$sanitizer" --tool $tool --error-exitcode 9 \
      bin/parity_cuda -w $no_such_test "Row functions*,Terms of*,Policies agree*,Products agree*,Attention agrees*"
  done
else
  note compute-sanitizer not-found 0 ""
fi

# From the smallest model to the largest, so that a short time leaves out the largest.
share 100
for shape in gpt2 gpt2-medium pythia-1.4b gpt2-xl; do
  for prompts in 32 1; do
    for precision in float tf32 bf16; do
      step benchmarks "$shape-$precision-$prompts" 60 bin/bench_cuda_step $shape $precision $prompts 16
    done
  done
done

if [ $failed = yes ]; then
  say "not everything passed: see $summary and the files beside it"
  exit 1
fi
