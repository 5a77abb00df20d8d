#!/bin/busybox sh
# The guest's very first program, run from memory: loads the drivers, and goes over to the root disk if there is one.
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /mnt /var /root /sbin /usr/bin /usr/sbin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
while read -r module; do insmod "$module" || echo "[groundplane] the driver $module can't be loaded"; done </etc/boot-modules
if grep -q groundplane.probe /proc/cmdline; then
    echo groundplane-probe-done
    poweroff -f
fi
if [ -b /dev/vda ]; then
    if mount -t ext4 -o noatime /dev/vda /mnt; then
        if [ ! -e /mnt/.groundplane ]; then
            cp -a /bin /etc /root /sbin /usr /var /mnt/ && mkdir -p /mnt/dev /mnt/mnt /mnt/proc /mnt/run /mnt/sys /mnt/tmp
            chmod 1777 /mnt/tmp
            : >/mnt/.groundplane
        fi
        # What belongs to the machine and not to its disk is new at every boot.
        rm -rf /mnt/lib/modules /mnt/usr/lib/groundplane
        mkdir -p /mnt/lib /mnt/usr/lib
        cp -a /lib/modules /mnt/lib/
        cp -a /usr/lib/groundplane /mnt/usr/lib/
        mount -t tmpfs -o mode=755 run /mnt/run
        cp -a /instance /mnt/run/instance
        for place in dev proc sys; do mount -o move /$place /mnt/$place; done
        exec switch_root /mnt /sbin/init
    fi
    echo "[groundplane] the root disk can't be mounted; going on in memory"
fi
mount -t tmpfs -o mode=755 run /run
cp -a /instance /run/instance
exec /sbin/init
