#!/usr/bin/env bash
# Malformed requests, beside a stock server: the same outcome, and the neighbour goes on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
WITH_REDIS=7401 exec "$here/../lib/with_lab" 1 standalone python3 "$here/bad_resp.py" 10.77.0.1 7401
