# Sourced: NODE_MODULES, the folder with the tests' scripts and the npm packages of the lock file, filled when it is not.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export NODE_MODULES=${SLOTWIRE_BUILD:-$here/../../build}/interop
mkdir -p "$NODE_MODULES"
cp "$here"/package.json "$here"/package-lock.json "$here"/*.mjs "$NODE_MODULES"
# Once per lock file. The cache is here too: the home folder may be read-only.
if ! cmp -s "$here/package-lock.json" "$NODE_MODULES/installed.json"; then
  npm ci --no-audit --no-fund --loglevel=error --update-notifier=false --cache "$NODE_MODULES/cache" \
    --prefix "$NODE_MODULES" < /dev/null
  cp "$here/package-lock.json" "$NODE_MODULES/installed.json"
fi
