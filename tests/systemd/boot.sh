#!/usr/bin/env bash
# Boots a root file system under systemd-nspawn and waits for its end: boot.sh ROOT [nspawn's arguments]. As root.
#
# Works also where the machine's own first process is not systemd and its control groups are of version 1 or mixed: the container
# gets a pure version 2 tree of its own. (Memory and task limits are not enforced then; all other walls are.)
set -euo pipefail
root=$1
shift
group=mains-test.$$
export root group
status=0
unshare --mount --propagation private bash -euc '
  umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir -p "/sys/fs/cgroup/$group"
  echo $$ >"/sys/fs/cgroup/$group/cgroup.procs"
  # Without a machine id of the host nspawn does not start; it is used for nothing.
  [ -s /etc/machine-id ] || { printf "%032x\n" 1 >/run/mains-test-machine-id; touch /etc/machine-id; mount --bind /run/mains-test-machine-id /etc/machine-id; }
  exec unshare --cgroup --mount --pid --fork --kill-child --mount-proc bash -euc "
    umount -l /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    exec systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --console=read-only --directory=\"\$root\" \"\$@\"
  " bash "$@"
' bash "$@" || status=$?
for tree in /sys/fs/cgroup /sys/fs/cgroup/unified; do
  [ -d "$tree/$group" ] && find "$tree/$group" -depth -type d -exec rmdir {} + 2>/dev/null
done
exit "$status"
