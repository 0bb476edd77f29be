#!/bin/bash
# Whether a version of $MODEL is loaded. The image has bash, but no curl.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/${REST_PORT:-8501}"
printf 'GET /v1/models/%s HTTP/1.0\r\nConnection: close\r\n\r\n' "$MODEL" >&3
# The whole state: the reason why a version could not be loaded may be UNAVAILABLE.
grep -Eq '"state": *"AVAILABLE"' <&3
