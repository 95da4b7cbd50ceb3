#!/bin/sh
# run.sh BROKERS TOPIC-TO-READ TOPIC-TO-WRITE FOLDER: the graph of the bench in Bytewax, with recovery from the folder.
set -e
here=$(dirname "$0")
export TRADES_BROKERS="$1" TRADES_FROM="$2" TRADES_TO="$3"
mkdir -p "$4"
"$here/target/venv/bin/python" -m bytewax.recovery "$4" 1
cd "$here"
exec target/venv/bin/python -m bytewax.run trade_windows -r "$4" -s 10 -b 0
