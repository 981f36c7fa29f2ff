#!/usr/bin/env bash
# Retrain where there is a reason to, judge the result, and ask a person to promote it: what CI runs on a schedule.
#
#   ops/retrain.sh [options of `unblur retrain`]
#
# Every step may be run again: what is pulled, trained, pushed, registered, judged or asked for already is not twice.
# Exit code 0: nothing to do, or a candidate waits for a person; 3: the gate has refused it; 1: an error. The last line
# says which. Nothing here promotes.
#
#   MLFLOW_TRACKING_URI   the registry; without it a file of this machine takes its place
#   UNBLUR_STATISTICS     what `unblur serve --statistics` has written, and
#   UNBLUR_REFERENCE      what it is compared with by `unblur drift`: both, or no drift is looked for
#   UNBLUR_SINCE          of the statistics, only those from this time on (2026-05-01)
#   UNBLUR_MAX_AGE        train where the champion was made more days ago than this
#   UNBLUR_REPORT         the report (artifacts/retrain/report.md), pictures and the page of drift beside it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ ! -d .venv/bin ] || PATH="$PWD/.venv/bin:$PATH"

report=${UNBLUR_REPORT:-artifacts/retrain/report.md}
step="start"

say() { echo "retrain: $*"; }
masked() { # DVC names a remote with what stands in its address
  python -c 'import sys; from unblur.safety.secrets import masked; sys.stdout.writelines(map(masked, sys.stdin))'
}

finish() {
  local code=$?
  trap - EXIT
  case $code in
    0 | 3) say "$(result) (exit code $code)" ;;
    *)
      say "failed in the step '$step' (exit code 1)"
      code=1
      ;;
  esac
  exit "$code"
}
trap finish EXIT

result() { # the heading of the report
  local found=""
  [ ! -f "$report" ] || found=$(sed -n '/^## Retraining: /{s///p;q;}' "$report")
  echo "${found:-no report}"
}

mkdir -p "$(dirname "$report")"
options=(--report "$report")

step="pull"
if [ -n "$(dvc remote list)" ]; then
  dvc pull --run-cache --allow-missing 2>&1 | masked || say "pull: not everything came, the lines above say why; the rest is made here"
  remote=yes
else
  say "pull: skipped, as there is no DVC remote"
  remote=""
fi

step="drift"
if [ -n "${UNBLUR_STATISTICS:-}" ] && [ -n "${UNBLUR_REFERENCE:-}" ]; then
  page="$(dirname "$report")/drift.html"
  drifted=0
  unblur drift "$UNBLUR_STATISTICS" "$UNBLUR_REFERENCE" ${UNBLUR_SINCE:+--since "$UNBLUR_SINCE"} --out "$page" || drifted=$?
  case $drifted in
    0) say "drift: none" ;;
    4) options+=(--because "drift: the photographs are not of the kind of the reference any more, see drift.html") ;;
    *) exit 1 ;;
  esac
else
  say "drift: skipped, as UNBLUR_STATISTICS and UNBLUR_REFERENCE are not both set"
fi

step="retrain" # decide, dvc repro, push, register, gate, report, proposal
[ -n "${MLFLOW_TRACKING_URI:-}" ] || options+=(--local)
[ -z "${UNBLUR_MAX_AGE:-}" ] || options+=(--max-age "$UNBLUR_MAX_AGE")
if [ -n "$remote" ] && git remote get-url origin > /dev/null 2>&1; then
  options+=(--propose)
else
  say "proposal: skipped, as there is no DVC remote or no git remote 'origin'"
fi
unblur retrain "${options[@]}" "$@"
