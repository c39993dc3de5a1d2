#!/usr/bin/env bash
# Writes the Python code and stubs of the contract into OUT (default: the repository itself).
#   proto/generate.sh [OUT]       needs an environment with deploy/locks/proto.txt: `make setup-proto`
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-.}
tools=${PROTO_TOOLS:-.venv-proto/bin}
mapfile -t protos < <(find proto/trimtab -name '*.proto' | sort)
PATH="$tools:$PATH" "$tools/python" -m grpc_tools.protoc -I proto \
  --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" "${protos[@]}"
# Messages without a service leave empty service modules behind.
find "$out/trimtab/common" -name '*_pb2_grpc.py*' -delete
