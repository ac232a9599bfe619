# SPDX-License-Identifier: Apache-2.0
# PID 1 of the light guest after switch_root: run the command, hand back its output and status, switch off.
# Output goes through pipes, so that a child may open /dev/stdout again; a virtio port opens only once.
bb=/run/busybox
port() {
  for name in /sys/class/virtio-ports/*/name; do
    if [ "$($bb cat "$name")" = "$1" ]; then
      name=${name%/name}
      echo "/dev/${name##*/}"
      return
    fi
  done
}
$bb mkfifo /run/stdout /run/stderr
$bb cat /run/stdout >"$(port stdout)" &
out=$!
$bb cat /run/stderr >"$(port stderr)" &
err=$!
$bb touch /run/guest/started
/bin/sh /run/guest/command </dev/null >/run/stdout 2>/run/stderr
status=$?
# What the command left running would hold the pipes open.
for folder in /proc/[0-9]*; do
  pid=${folder#/proc/}
  case $pid in 1 | "$out" | "$err") continue ;; esac
  $bb readlink "$folder/exe" >/dev/null 2>&1 && kill -9 "$pid" 2>/dev/null
done
wait "$out" "$err"
echo "$status" >/run/guest/status.partial
$bb mv /run/guest/status.partial /run/guest/status
$bb sync
$bb poweroff -f
