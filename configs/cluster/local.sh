#!/usr/bin/env bash
# Trains with several workers on this machine, each of which is started again where it was killed or lost another one:
#   bash configs/cluster/local.sh 2 --recipe=ml1m --output_dir=runs/two
# WORKERS FLAGS... of `python -m gdns_tf.train`; PORT (default 2222) is the first worker's, the others have the next ones.
set -u
workers=$1 first=${PORT:-2222}
shift
addresses=
for ((k = 0; k < workers; k++)); do
  addresses+="${addresses:+, }\"127.0.0.1:$((first + k))\""
done

worker() {
  local index=$1 code
  shift
  while :; do
    TF_CONFIG="{\"cluster\": {\"worker\": [$addresses]}, \"task\": {\"type\": \"worker\", \"index\": $index}}" \
      "${PYTHON:-python}" -m gdns_tf.train --strategy=multiworker "$@"
    code=$?
    # 75: another worker is gone; 137: killed.
    [[ $code == 75 || $code == 137 ]] || return $code
    echo "worker $index ended with $code: again" >&2
  done
}

for ((k = 1; k < workers; k++)); do
  worker "$k" "$@" &
done
worker 0 "$@"
code=$?
wait
exit $code
