#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# /init of the light guest: the machine's own root, read-only over 9p, under a tmpfs overlay.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
fail() { echo "light guest: $*" >/dev/console; $bb poweroff -f; }
while read -r module; do
  $bb insmod "/modules/$module" || fail "insmod $module failed"
done </modules/order
# The devices of the bus appear while the modules are being loaded: wait for the first 9p tag.
tries=0
until $bb grep -qs . /sys/bus/virtio/drivers/9pnet_virtio/virtio*/mount_tag; do
  tries=$((tries + 1))
  [ "$tries" -lt 200 ] || fail "no 9p device within 10 s"
  $bb usleep 50000
done
$bb mkdir -p /lower /overlay /new
$bb mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose root /lower || fail "9p mount of / failed"
$bb mount -t tmpfs -o size=75% tmpfs /overlay
$bb mkdir /overlay/upper /overlay/work
$bb mount -t overlay -o lowerdir=/lower,upperdir=/overlay/upper,workdir=/overlay/work overlay /new || fail "overlay failed"
$bb mount -t proc proc /new/proc
$bb mount -t sysfs sysfs /new/sys
$bb mount -t devtmpfs devtmpfs /new/dev
$bb mkdir -p /new/dev/pts /new/dev/shm /new/dev/mqueue /new/out
$bb mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /new/dev/pts
$bb mount -t tmpfs tmpfs /new/dev/shm
$bb mount -t tmpfs -o mode=755 tmpfs /new/run
$bb mount -t securityfs securityfs /new/sys/kernel/security
$bb mount -t bpf bpf /new/sys/fs/bpf
$bb mount -t tracefs tracefs /new/sys/kernel/tracing
$bb mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
for controller in cpu memory pids; do
  echo "+$controller" >/new/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
done
$bb mkdir -p /new/run/guest /new/run/lock
$bb mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none control /new/run/guest || fail "9p mount of the control folder failed"
$bb mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none out /new/out || fail "9p mount of /out failed"
release=$($bb uname -r)
if [ -d /new/run/guest/modules ]; then
  $bb mkdir -p "/new/usr/lib/modules/$release"
  $bb mount -o bind "/new$($bb cat /new/run/guest/modules/path)" "/new/usr/lib/modules/$release"
fi
$bb ip link set lo up
$bb hostname guest
$bb cp /bin/busybox /new/run/busybox
$bb cp /second.sh /new/run/init
$bb umount /sys /proc
exec $bb switch_root /new /run/busybox sh /run/init
