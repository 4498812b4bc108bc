# Set-up for ./quickstart and ./test, which source this file: install what is missing, configure, build.
#
# Made for Debian 12 and Ubuntu 24.04, as root or with sudo. The second run finds everything there and touches no
# network. CUDA is never installed: where a toolkit is found, only the cudnn-frontend headers are added to it.

source launch/environment.sh

weft_packages=(
  g++ cmake ninja-build
  openmpi-bin libopenmpi-dev
  libabsl-dev libyaml-cpp-dev libcli11-dev nlohmann-json3-dev libboost-dev libssl-dev
  libhdf5-dev libopenblas-dev libpcre2-dev libutf8proc-dev libsentencepiece-dev
  libgtest-dev libgmock-dev
  curl jq
)
weft_optional_packages=(libdnnl-dev)  # oneDNN: without it bf16 on the CPU is slower

say() { echo "weft: $*" >&2; }

# Prints those of the given packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) == "install ok installed" ]] || echo "$package"
  done
}

# apt-get with the rights it needs; 1 where there are none.
apt_get() {
  local become=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || { say "no root and no sudo to install packages with"; return 1; }
    become=(sudo)
  fi
  "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends "$@" >&2
}

install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "not Debian or Ubuntu: taking for granted what there is called ${weft_packages[*]} ${weft_optional_packages[*]}"
    return
  fi
  local missing package
  missing=$(missing_packages "${weft_packages[@]}" | xargs)
  if [[ -n $missing ]]; then
    say "installing $missing"
    apt_get update || say "the package lists could not be brought up to date; trying with those that are here"
    # shellcheck disable=SC2086  # a list of words
    apt_get install $missing || { say "please install: $missing"; return 1; }
  fi
  for package in $(missing_packages "${weft_optional_packages[@]}"); do
    if apt-cache show "$package" >/dev/null 2>&1; then
      apt_get install "$package" || say "$package could not be installed; going on without it"
    fi
  done
}

# With a CUDA toolkit, unpacks the headers of the newest nvidia-cudnn-frontend wheel to .setup/cudnn-frontend, unless
# CUDNN_FRONTEND_DIR names others. Never fails: without them CMake says that CUDA is left out.
fetch_cudnn_frontend() {
  [[ -z ${CUDNN_FRONTEND_DIR:-} && ! -e .setup/cudnn-frontend/include/cudnn_frontend.h ]] || return 0
  command -v nvcc >/dev/null || [[ -x ${CUDA_HOME:-/usr/local/cuda}/bin/nvcc ]] || return 0
  if ! python3 -m pip --version >/dev/null 2>&1; then
    apt_get install python3-pip || { say "no pip to fetch the cudnn-frontend headers with"; return 0; }
  fi
  rm -rf .setup/wheel && mkdir -p .setup/wheel
  if python3 -m pip download -q --retries 1 --timeout 15 --no-deps --only-binary=:all: -d .setup/wheel nvidia-cudnn-frontend >&2; then
    (cd .setup/wheel && cmake -E tar xf ./*.whl && mkdir -p ../cudnn-frontend && cp -r include ../cudnn-frontend/) ||
      say "the wheel nvidia-cudnn-frontend holds no headers"
  else
    say "PyPI did not give the wheel nvidia-cudnn-frontend"
  fi
  rm -rf .setup/wheel
}

# build PRESET [TARGET...]: everything from a bare machine to the built targets.
build() {
  local preset=$1
  shift
  mkdir -p .setup
  install_packages
  fetch_cudnn_frontend
  cmake --preset "$preset" ${WEFT_WERROR:+-DWEFT_WERROR="$WEFT_WERROR"} >&2
  cmake --build --preset "$preset" -j "$(nproc)" ${1:+--target "$@"} >&2
}
