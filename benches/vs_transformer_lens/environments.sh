#!/usr/bin/env bash
# Makes the two Python environments that `vs_transformer_lens` runs beside:
#   FOLDER/ht  HookedTransformer: transformer-lens 3.9, sae-lens 6.54
#   FOLDER/tb  TransformerBridge: transformer-lens 4.3
# Everything comes from PyPI. About 12 GB with torch's CUDA libraries.
#
#   benches/vs_transformer_lens/environments.sh FOLDER
set -euo pipefail
if [ $# -ne 1 ]; then
    echo "give the folder to make the environments in: environments.sh FOLDER" >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)

environment() {
    local name=$1
    shift
    if [ ! -x "$folder/$name/bin/python" ]; then
        python3 -m venv "$folder/$name"
    fi
    "$folder/$name/bin/pip" install --quiet --upgrade pip
    "$folder/$name/bin/pip" install --quiet "$@"
    "$folder/$name/bin/pip" list --format freeze | grep -iE '^(torch|transformer-lens|sae-lens|transformers)=='
}

environment ht transformer-lens==3.9.0 sae-lens==6.54.12 plotly pandas
environment tb transformer-lens==4.3.0 plotly pandas
