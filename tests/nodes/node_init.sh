#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# /init of a test node: the modules of the virtual disk, then systemd on /dev/vda.
bb=/bin/busybox
$bb mount -t devtmpfs devtmpfs /dev
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
fail() { echo "test node: $*" >/dev/console; $bb poweroff -f; }
while read -r module; do
  $bb insmod "/modules/$module" || fail "insmod $module failed"
done </modules/order
tries=0
until [ -b /dev/vda ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 400 ] || fail "no /dev/vda within 20 s"
  $bb usleep 50000
done
$bb mount -t ext4 -o rw,noatime /dev/vda /root || fail "mount of /dev/vda failed"
$bb mount --move /dev /root/dev
$bb mount --move /sys /root/sys
$bb mount --move /proc /root/proc
exec $bb switch_root /root /sbin/init
