#!/usr/bin/env bash
# The package and its units under real systemd 252 and 257: run.sh [RELEASE ...]. As root; skips itself, saying so, elsewhere.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "$(id -u)" != 0 ]; then
  echo "the units are tested as root only: skipped"
  exit 0
fi
missing=()
for package in mmdebstrap systemd-container; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" >/dev/null
fi
if ! unshare --mount --cgroup true 2>/dev/null; then
  echo "no new namespaces may be made here: the units are not tested: skipped"
  exit 0
fi
cache=${MAINS_TEST_CACHE:-$HOME/.cache/mains-test}
tests/systemd/roots.sh "$cache"

# Two packages, so that one can be upgraded to the other. MAINS_TEST_DEBS=keep takes those of the last run.
if [ "${MAINS_TEST_DEBS:-make}" = make ]; then
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
  rm -rf target/debian
  packaging/build-deb.sh "$version-1" target/debian/old
  packaging/build-deb.sh "$version-2" target/debian/new
fi

passed=0 failed=0
check() { # release
  local release=$1 run results
  run=$(mktemp -d "$cache/run.XXXXXX")
  mkdir "$run/upper" "$run/work" "$run/root" "$run/results"
  mount -t overlay overlay -o "lowerdir=$cache/root.$release,upperdir=$run/upper,workdir=$run/work" "$run/root"
  mkdir "$run/root/opt/test"
  cp target/debian/old/*.deb target/debian/new/*.deb tests/systemd/checks.py tests/systemd/client.py "$run/root/opt/test/"
  cp tests/systemd/checks.service "$run/root/etc/systemd/system/"
  mkdir -p "$run/root/etc/systemd/system/multi-user.target.wants"
  ln -s ../checks.service "$run/root/etc/systemd/system/multi-user.target.wants/"
  timeout 300 tests/systemd/boot.sh "$run/root" --bind="$run/results:/run/results" --bind=/dev/fuse </dev/null >"$run/boot.log" 2>&1 || true
  results=$run/results/lines
  printf -- '-- %s\n' "$release"
  cat "$results" 2>/dev/null || true
  if ! grep -q '^end$' "$results" 2>/dev/null; then
    echo "FAIL the checks came to their end; the container's last words:"
    cat "$run/results/output" 2>/dev/null || tail -n 40 "$run/boot.log"
    failed=$((failed + 1))
  fi
  passed=$((passed + $(grep -c '^ok ' "$results" 2>/dev/null || true)))
  failed=$((failed + $(grep -c '^FAIL ' "$results" 2>/dev/null || true)))
  umount "$run/root"
  rm -rf "$run"
}
[ $# -gt 0 ] || set -- bookworm trixie
for release in "$@"; do check "$release"; done

# What the design promises of the units' walls (a score is ten times smaller than its threshold).
scores() { # unit threshold
  if systemd-analyze security --offline=true --no-pager --threshold="$2" "systemd/$1" >/dev/null 2>&1; then
    echo "ok $1 is exposed by at most $2 tenths"
    passed=$((passed + 1))
  else
    echo "FAIL $1 is exposed by more than $2 tenths: see systemd-analyze security --offline=true systemd/$1"
    failed=$((failed + 1))
  fi
}
scores mainsd.service 15
scores mains-probe.service 15
for role in probe inspect run convert; do scores "mains-worker-$role@.service" 19; done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
