#!/bin/sh
# What udhcpc calls with each lease. The first interface has the default route; each further one has a routing table of its own for what
# comes from its address, as amazon-ec2-net-utils does it, and a default route that is used when all others are gone. Their tables are
# numbered from 10000 there; busybox knows numbers up to 255.
index=${interface#eth}
table=$((100 + index))
case $1 in
deconfig)
    ip link set "$interface" up
    ;;
bound | renew)
    [ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
    if ! ip -4 addr show dev "$interface" | grep -q " $ip/$mask "; then
        ip addr replace "$ip/$mask" broadcast + dev "$interface"
    fi
    for gateway in $router; do
        if [ "$index" = 0 ]; then
            ip route replace default via "$gateway" dev "$interface"
        else
            ip route replace default via "$gateway" dev "$interface" metric $table
            ip route replace default via "$gateway" dev "$interface" table $table
            ip route replace "$(ipcalc -n "$ip/$mask" | sed 's/NETWORK=//')/$mask" dev "$interface" table $table
            ip rule del from "$ip" lookup $table 2>/dev/null
            ip rule add from "$ip" lookup $table priority $table
        fi
        break
    done
    if [ "$index" = 0 ] && [ -n "$dns" ]; then
        { [ -n "$search$domain" ] && echo "search ${search:-$domain}"; for server in $dns; do echo "nameserver $server"; done; } >/etc/resolv.conf
    fi
    [ -e "/run/net/$interface.bound" ] || echo "[groundplane] $interface has $ip/$mask" >/dev/console
    : >"/run/net/$interface.bound"
    ;;
esac
