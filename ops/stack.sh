#!/usr/bin/env bash
# PostgreSQL, an S3 server and `mlflow server` on both, on this machine: for tests and for trying things out, never for use.
#
#   eval "$(ops/stack.sh start)"         starts what does not run, prints what to export once all of it answers
#   ops/stack.sh status                  where each is; exit code 1 if one does not run
#   ops/stack.sh stop                    ends all three and removes what they have kept
#   ops/stack.sh start|stop PART...      one of postgresql, objects, mlflow: it comes back on its port
#   ops/stack.sh check                   what of it is not installed, and how to; exit code 1 then
#
# --folder DIR: where all of it lies, so that several run side by side. Everything listens on 127.0.0.1, on free ports.
# PostgreSQL does not run as root: where this does, it runs as the user postgres. The S3 server (moto) keeps everything in
# memory and takes any password; what it holds is gone when it stops. For use there is compose.yaml.
set -euo pipefail
ops=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ ! -d "$ops/../.venv/bin" ] || PATH="$ops/../.venv/bin:$PATH"

parts=(postgresql objects mlflow)
wait_seconds=90

fail() {
  echo "error: $*" >&2
  exit 1
}

programs() { # the folder of PostgreSQL's programs, which Debian keeps out of PATH
  local each
  for each in "$(dirname "$(command -v pg_ctl || echo /)")" $(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | sort -rV); do
    if [ -x "$each/initdb" ] && [ -x "$each/pg_ctl" ] && [ -x "$each/createdb" ]; then
      echo "$each"
      return
    fi
  done
}

check() {
  local missing=0 modules
  if [ -z "$(programs)" ]; then
    echo "PostgreSQL is not installed: apt-get install postgresql" >&2
    missing=1
  elif [ "$(id -u)" = 0 ] && ! { id postgres && command -v runuser; } > /dev/null 2>&1; then
    echo "PostgreSQL does not run as root: it needs the user postgres and the program runuser, or another user" >&2
    missing=1
  fi
  modules=$(python - << 'PYTHON'
from importlib.util import find_spec
print(*[name for name in ("boto3", "flask", "flask_cors", "flask_wtf", "mlflow", "moto", "psycopg") if find_spec(name) is None])
PYTHON
  ) || modules="python"
  if [ -n "$modules" ]; then
    echo "$modules: not installed in this Python: pip install -c requirements.lock -e '.[dev]'" >&2
    missing=1
  fi
  return $missing
}

as_owner() { # run a program of PostgreSQL as who may
  if [ "$(id -u)" = 0 ]; then
    runuser -u postgres -- "$@"
  else
    "$@"
  fi
}

settle() { # make the folder with its ports and password, once, where it may be and all is installed
  if [ -L "$folder" ] || { [ -e "$folder" ] && ! [ -O "$folder" ]; }; then
    fail "$folder belongs to somebody else; name another --folder"
  fi
  if [ -d "$folder" ] && [ ! -f "$folder/settings" ] && [ -n "$(ls -A "$folder")" ]; then
    fail "$folder holds other things; name an empty --folder, or one that is not there"
  fi
  check || exit 1
  mkdir -p "$folder"
  chmod "$([ "$(id -u)" = 0 ] && echo 711 || echo 700)" "$folder" # the user postgres comes through
  [ -f "$folder/settings" ] || (umask 077 && python - > "$folder/settings" << 'PYTHON')
import secrets, socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
for name, each in zip(("postgresql", "objects", "mlflow"), taken):
    print(f"{name}_port={each.getsockname()[1]}")
print(f"password={secrets.token_hex(16)}")
PYTHON
  [ "$(id -u)" != 0 ] || as_owner test -x "$folder" || fail "$folder: the user postgres cannot get there; name another --folder, as below /tmp"
}

use() { # what the three, and who asks them, have in their environment
  # shellcheck source=/dev/null
  . "$folder/settings"
  export PGHOST=127.0.0.1 PGPORT=$postgresql_port PGUSER=unblur PGPASSWORD=$password
  export AWS_ACCESS_KEY_ID=unblur AWS_SECRET_ACCESS_KEY=$password AWS_DEFAULT_REGION=us-east-1
  export AWS_ENDPOINT_URL=http://127.0.0.1:$objects_port
  export MLFLOW_S3_ENDPOINT_URL=$AWS_ENDPOINT_URL
  [[ ",${NO_PROXY:-}," == *,127.0.0.1,* ]] || export NO_PROXY=127.0.0.1${NO_PROXY:+,$NO_PROXY}
  unset AWS_PROFILE AWS_SESSION_TOKEN MLFLOW_TRACKING_URI
}

runs() {
  case $1 in
    postgresql) [ -d "$folder/database" ] && as_owner "$(programs)/pg_ctl" --pgdata "$folder/database" status > /dev/null 2>&1 ;;
    *) # a number may be another process's by now
      local port="$1_port"
      [ -f "$folder/$1.pid" ] && ps -o args= -p "$(cat "$folder/$1.pid")" 2> /dev/null | grep --quiet "server .* ${!port}"
      ;;
  esac
}

answers() { # whether a page of 127.0.0.1 does
  python -c 'import sys, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=5)' "$1" 2> /dev/null
}

serve() { # NAME PAGE COMMAND...: start it in a session of its own, and wait until the page answers
  local name=$1 page=$2 until=$((SECONDS + wait_seconds))
  shift 2
  (cd "$folder" && exec setsid "$@" < /dev/null >> "$folder/$name.log" 2>&1) &
  echo $! > "$folder/$name.pid"
  until answers "$page"; do
    kill -0 "$(cat "$folder/$name.pid")" 2> /dev/null || fail "$name has ended: $(tail -n 1 "$folder/$name.log"); see $folder/$name.log"
    [ $SECONDS -lt $until ] || fail "$name does not answer after $wait_seconds s; see $folder/$name.log"
    sleep 0.2
  done
}

start_postgresql() {
  local bin
  bin=$(programs)
  if [ ! -d "$folder/database" ]; then
    mkdir "$folder/database"
    (umask 077 && echo "$password" > "$folder/database.password")
    [ "$(id -u)" != 0 ] || chown postgres "$folder/database" "$folder/database.password"
    (cd "$folder" && as_owner "$bin/initdb" --pgdata "$folder/database" --username unblur --pwfile "$folder/database.password" \
      --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8 --no-sync > "$folder/postgresql.log" 2>&1) \
      || fail "postgresql: $(tail -n 1 "$folder/postgresql.log"); see $folder/postgresql.log"
  fi
  (cd "$folder" && as_owner "$bin/pg_ctl" --pgdata "$folder/database" --log "$folder/database/log" --wait --timeout $wait_seconds --options \
    "-c port=$postgresql_port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off" start >> "$folder/postgresql.log" 2>&1) \
    || fail "postgresql: $(tail -n 1 "$folder/postgresql.log"); see $folder/postgresql.log and $folder/database/log"
  if [ ! -f "$folder/postgresql.made" ]; then
    "$bin/createdb" mlflow >> "$folder/postgresql.log" 2>&1 || fail "postgresql: $(tail -n 1 "$folder/postgresql.log")"
    touch "$folder/postgresql.made"
  fi
}

start_objects() {
  serve objects "$AWS_ENDPOINT_URL/moto-api/" python -m moto.server -H 127.0.0.1 -p "$objects_port"
  BUCKETS="mlflow dvc" python "$ops/bucket.py" >> "$folder/objects.log" 2>&1 || fail "objects: $(tail -n 1 "$folder/objects.log")"
}

start_mlflow() { # two tries, as an S3 server that is not there is found out soon; five, boto's own, take up to 15 s
  AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=2 MLFLOW_BACKEND_STORE_URI=postgresql+psycopg:///mlflow MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true \
    serve mlflow "http://127.0.0.1:$mlflow_port/health" python -m mlflow server --host 127.0.0.1 --port "$mlflow_port" --workers 1 \
    --artifacts-destination s3://mlflow
}

stop() {
  runs "$1" || return 0
  if [ "$1" = postgresql ]; then
    (cd "$folder" && as_owner "$(programs)/pg_ctl" --pgdata "$folder/database" --mode fast --wait stop > /dev/null)
    return
  fi
  local process
  process=$(cat "$folder/$1.pid")
  kill -TERM -- "-$process" 2> /dev/null || true
  for _ in $(seq 50); do
    ps -o stat= --sid "$process" | grep --quiet '^[^Z]' || break
    sleep 0.1
  done
  kill -KILL -- "-$process" 2> /dev/null || true
  rm -f "$folder/$1.pid"
}

show() {
  cat << END
export MLFLOW_TRACKING_URI=http://127.0.0.1:$mlflow_port
export AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$password AWS_DEFAULT_REGION=us-east-1
export NO_PROXY=$NO_PROXY
export UNBLUR_STACK_DATABASE=postgresql://unblur:$password@127.0.0.1:$postgresql_port UNBLUR_STACK_BUCKET=s3://dvc
END
}

command=${1:-}
[ $# = 0 ] || shift
folder="${TMPDIR:-/tmp}/unblur-stack-$(id -u)"
chosen=()
while [ $# -gt 0 ]; do
  case $1 in
    --folder)
      folder=$(realpath -m "${2:?--folder needs a DIR}")
      shift
      ;;
    postgresql | objects | mlflow) chosen+=("$1") ;;
    *) fail "'$1': expected --folder DIR, or one of ${parts[*]}" ;;
  esac
  shift
done

case $command in
  check) check ;;
  start)
    settle
    use
    for part in "${parts[@]}"; do
      [[ ${#chosen[@]} -eq 0 || " ${chosen[*]} " == *" $part "* ]] || continue
      runs "$part" || "start_$part"
    done
    show
    ;;
  stop)
    [ -f "$folder/settings" ] || exit 0
    use
    for part in mlflow objects postgresql; do
      [[ ${#chosen[@]} -eq 0 || " ${chosen[*]} " == *" $part "* ]] || continue
      stop "$part"
    done
    [ ${#chosen[@]} -gt 0 ] || rm -rf "$folder"/{database,database.password,postgresql.log,postgresql.made,objects.log,mlflow.log,settings}
    [ ${#chosen[@]} -gt 0 ] || rmdir "$folder" 2> /dev/null || echo "$folder: what is left there is not of the stack" >&2
    ;;
  status)
    [ -f "$folder/settings" ] || fail "nothing is started in $folder"
    use
    down=0
    for part in "${parts[@]}"; do
      port="${part}_port"
      if runs "$part"; then echo "$part runs at 127.0.0.1:${!port}"; else
        echo "$part does not run"
        down=1
      fi
    done
    exit $down
    ;;
  *) fail "expected start, stop, status or check; the first lines of ops/stack.sh say what they do" ;;
esac
