#!/bin/sh
# Run once by init: name, interfaces, then user-data. What it prints is the console.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mkdir -p /dev/pts /dev/shm /run/net /root/.ssh
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
hostname -F /run/instance/hostname
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$(hostname)" >/etc/hosts
[ -s /run/instance/authorized_key ] && cp /run/instance/authorized_key /root/.ssh/authorized_keys
chmod 700 /root/.ssh
ip link set lo up
# One interface each for what is there and for what is plugged later; a second look at the same one does nothing.
setsid uevent /usr/lib/groundplane/uevent </dev/null >/dev/console 2>&1 &
for link in /sys/class/net/eth*; do [ -e "$link" ] && /usr/lib/groundplane/net-up "${link##*/}"; done
for name in /sys/class/virtio-ports/*/name; do [ -e "$name" ] && /usr/lib/groundplane/port "$(basename "$(dirname "$name")")"; done
tries=0
while [ ! -e /run/net/eth0.bound ] && [ -e /sys/class/net/eth0 ] && [ $tries -lt 100 ]; do
    usleep 100000
    tries=$((tries + 1))
done
[ -e /run/net/eth0.bound ] || echo "[groundplane] eth0 has no address yet"
echo "[groundplane] $(hostname) is up"
if [ -e /run/instance/run-user-data ] && [ -s /run/instance/user-data ]; then
    setsid /usr/lib/groundplane/user-data </dev/null &
fi
