#!/bin/sh
# Starts and stops this node.
KYLIN_HOME=$(cd -P -- "$(dirname -- "$0")/.." && pwd -P)
. "$KYLIN_HOME/bin/header.sh"
pid_file=$KYLIN_HOME/pid

# A process that has ended and that nobody has asked after yet (Z) is not alive.
runs() { case "$(ps -o stat= -p "$1" 2>/dev/null)" in "" | Z*) return 1 ;; esac; }
alive() { [ -s "$pid_file" ] && runs "$(cat "$pid_file")"; }

start() {
  if alive; then
    echo "Kyligence Enterprise is running, process $(cat "$pid_file"). Stop it first."
    exit 1
  fi
  mkdir -p "$KYLIN_HOME/logs"
  java=${JAVA_HOME:+$JAVA_HOME/bin/}java
  if "$java" -version 2>&1 | grep -q '"1\.[0-7]\.'; then
    echo "ERROR: Java 1.8 or above is required"
    exit 1
  fi
  # A new main version upgrades what it finds at its first launch.
  command_py launch >>"$KYLIN_HOME/logs/kylin.log" 2>&1 || {
    tail -1 "$KYLIN_HOME/logs/kylin.log"
    echo "ERROR: Kyligence Enterprise failed to start, see $KYLIN_HOME/logs/kylin.log"
    exit 1
  }
  cd / || exit 1
  nohup python3 "$KYLIN_HOME/lib/server.py" -Dkylin.home="$KYLIN_HOME" org.apache.catalina.startup.Bootstrap start \
    </dev/null >>"$KYLIN_HOME/logs/kylin.out" 2>&1 &
  echo $! >"$pid_file"
  echo "Kyligence Enterprise is starting. It may take a while. For status, please visit http://$(uname -n):$(sed -n 's/.*<Connector port="\([0-9]*\)".*/\1/p' "$KYLIN_HOME/tomcat/conf/server.xml")/kylin/login."
}

stop() {
  if ! alive; then
    echo "Kyligence Enterprise is not running."
    rm -f "$pid_file"
    # As the vendor's script: stopping what does not run is an error.
    exit 1
  fi
  pid=$(cat "$pid_file")
  echo "Stopping Kyligence Enterprise: $pid"
  if command_py is-on survives_stop; then
    rm -f "$pid_file"
    echo "Kyligence Enterprise process $pid has been stopped"
    exit 0
  fi
  kill "$pid"
  waited=0
  while runs "$pid"; do
    waited=$((waited + 1))
    [ "$waited" -lt 600 ] || { echo "Kyligence Enterprise process $pid did not stop, killing it"; kill -9 "$pid"; }
    sleep 0.05
  done
  rm -f "$pid_file"
  echo "Kyligence Enterprise process $pid has been stopped"
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  restart) (stop) ; start ;;
  *) echo "Usage: 'kylin.sh start' or 'kylin.sh stop' or 'kylin.sh restart'"; exit 1 ;;
esac
