#!/bin/sh
# The last thing before the machine goes off: let go of the disk.
sync
mount -o remount,ro / 2>/dev/null
exit 0
