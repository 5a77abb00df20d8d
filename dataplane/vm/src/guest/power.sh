#!/bin/sh
# The power button.
echo "[groundplane] the power button was pressed" >/dev/console
/sbin/poweroff
