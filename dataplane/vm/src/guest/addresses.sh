#!/bin/sh
# addresses IFACE ADDRESS/LEN...: gives an interface exactly these beside what DHCP and the kernel have given it. What it gave before and
# is not named any more goes.
interface=$1
shift
list=/run/net/$interface.addresses
tries=0
while [ ! -e "/sys/class/net/$interface" ] && [ $tries -lt 100 ]; do
    usleep 100000
    tries=$((tries + 1))
done
touch "$list"
while read -r old; do
    case " $* " in *" $old "*) ;; *) ip addr del "$old" dev "$interface" ;; esac
done <"$list"
for address in "$@"; do
    case $address in
    *:*) ip -6 addr add "$address" dev "$interface" nodad 2>/dev/null ;;
    *) ip addr add "$address" dev "$interface" 2>/dev/null ;;
    esac
    [ "$interface" = eth0 ] || case $address in
    *:*) ;;
    *)
        table=$((100 + ${interface#eth}))
        ip rule del from "${address%/*}" lookup $table 2>/dev/null
        ip rule add from "${address%/*}" lookup $table priority $table
        ;;
    esac
done
for address in "$@"; do echo "$address"; done >"$list"
