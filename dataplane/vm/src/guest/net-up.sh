#!/bin/sh
# Brings one interface up under the name that EC2's device index gives it: eth0, eth1, ... The index is told by the slot that it is in:
# slots 0x10 and up of the first bus, eight functions each (see qemu.rs).
link=$1
path=$(readlink -f "/sys/class/net/$link/device" 2>/dev/null) || exit 0
slot=$(echo "$path" | sed -n 's|^/sys/devices/pci0000:00/0000:00:\([0-9a-f]*\)\.\([0-7]\)/.*|\1 \2|p')
[ -n "$slot" ] || exit 0
set -- $slot
name=eth$(((0x$1 - 0x10) * 8 + $2))
if [ "$link" != "$name" ]; then
    ip link set "$link" name "$name" || exit 1
fi
# Whoever makes the directory first does it.
mkdir "/run/net/$name.up" 2>/dev/null || exit 0
# The router sends what IPv6 needs, and DHCP what IPv4 needs; the other way round nothing is believed.
echo 1 >"/proc/sys/net/ipv6/conf/$name/accept_ra"
echo 0 >"/proc/sys/net/ipv6/conf/$name/autoconf"
# An address is its ENI's alone: nobody is asked for it.
echo 0 >"/proc/sys/net/ipv6/conf/$name/accept_dad"
ip link set "$name" up
echo "[groundplane] $name is there"
setsid udhcpc -i "$name" -f -t 5 -T 1 -A 2 -R -O mtu -O search -s /usr/lib/groundplane/dhcp </dev/null >/dev/null 2>&1 &
