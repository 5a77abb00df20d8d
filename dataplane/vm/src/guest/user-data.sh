#!/bin/sh
# Runs the user-data by the interpreter that its first line names, /bin/sh where that isn't there.
# Text that doesn't begin with #! is data and is left alone, as cloud-init does.
cp /run/instance/user-data /run/user-data
chmod 700 /run/user-data
first=$(head -n 1 /run/user-data)
case $first in
'#!'*) ;;
*) echo "[groundplane] user-data is not a script"; exit 0 ;;
esac
interpreter=$(printf %s "$first" | sed -e 's/^#! *//' -e 's/ .*//')
cd /
if [ -x "$interpreter" ]; then /run/user-data; else /bin/sh /run/user-data; fi
status=$?
[ $status = 0 ] || echo "[groundplane] user-data ended with status $status"
