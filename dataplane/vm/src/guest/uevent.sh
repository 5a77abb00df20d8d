#!/bin/sh
# Called by uevent for each message of the kernel's.
case $SUBSYSTEM:$ACTION in
net:add) case $INTERFACE in eth*) /usr/lib/groundplane/net-up "$INTERFACE" ;; esac ;;
net:remove) rm -f "/run/net/$INTERFACE".* ;;
virtio-ports:*) /usr/lib/groundplane/port "${DEVPATH##*/}" ;;
esac
