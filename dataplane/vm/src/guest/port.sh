#!/bin/sh
# One command for `groundplane exec`. It comes as four ports of the virtio-serial device: exec.ID.in, .out, .err, and, last, .ctl.
port=$1
name=$(cat "/sys/class/virtio-ports/$port/name" 2>/dev/null)
case $name in exec.*.ctl) ;; *) exit 0 ;; esac
session=${name#exec.}
session=${session%.ctl}
mkdir -p /run/exec
mkdir "/run/exec/$session" 2>/dev/null || exit 0
setsid /usr/lib/groundplane/session "$session" "/dev/$port" </dev/null >/dev/console 2>&1 &
