#!/bin/sh
# Reads a command (one line, base64 of a shell command) from the control port, runs it on the three others, answers with its exit status.
session=$1
control=$2
place=/run/exec/$session
for name in /sys/class/virtio-ports/*/name; do
    port=/dev/$(basename "$(dirname "$name")")
    case $(cat "$name") in
    exec.$session.in) input=$port ;;
    exec.$session.out) output=$port ;;
    exec.$session.err) errors=$port ;;
    esac
done
exec 9<>"$control" 4<"$input" 5>"$output" 6>"$errors"
# Nothing is sent before all ports are open, so nothing is lost.
echo started >&9
read -r line <&9
printf %s "$line" | base64 -d >"$place/command"
cd /root
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
sh "$place/command" <&4 >&5 2>&6 4<&- 5>&- 6>&- 9>&-
echo "$?" >&9
# The directory stays: a late message about the port must not start the session again, when its ports may be another one's.
rm -f "$place/command"
