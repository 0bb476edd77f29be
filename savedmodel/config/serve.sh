#!/bin/bash
# TensorFlow Serving on the model $MODEL in the folder $MODELS; arguments go to the server.
set -euo pipefail
: "${MODEL:?is not set: the name of the model, which is that of its folder}"
: "${MODELS:=/models}"
here=$(dirname "$0")
config="${TMPDIR:-/tmp}/models.config"

# The server looks at a copy of models.config with the names filled in, which follows the original. A file that is not
# there for a moment, or half written, is passed over.
fill_in() {
  local text
  text=$(<"$here/models.config") || return 0
  [[ $text == *model_config_list*\} ]] || return 0
  text=${text//\$MODELS/$MODELS}
  text=${text//\$MODEL/$MODEL}
  printf '%s\n' "$text" >"$config.new"
  mv "$config.new" "$config"
}

fill_in
while sleep "${RELOAD_SECONDS:-15}"; do fill_in; done &

# exec: signals must reach the server, which then answers what is under way. New versions are loaded beside the requests,
# not in their way.
exec tensorflow_model_server \
  --port=8500 \
  --rest_api_port=8501 \
  --rest_api_timeout_in_ms=10000 \
  --model_config_file="$config" \
  --model_config_file_poll_wait_seconds=15 \
  --file_system_poll_wait_seconds=5 \
  --monitoring_config_file="$here/monitoring.config" \
  --num_load_threads=1 \
  --num_unload_threads=1 \
  "$@"
