#!/bin/sh
# addresses IFACE [ADDRESS/LEN | +PREFIX/LEN]...: gives an interface exactly these addresses beside what DHCP and the kernel have given it.
# A delegated prefix (+) is for what runs in here, so only its rule is made. What was given before and is not named any more goes.
interface=$1
shift
# Whoever calls this does not wait for what it says.
exec 2>/dev/console
list=/run/net/$interface.addresses
# The first interface's routes are the main table's.
table=
[ "$interface" = eth0 ] || table=$((100 + ${interface#eth}))

# rule add|del ADDRESS/LEN: what has it as its source is looked up in the interface's own table.
rule() {
    [ -n "$table" ] || return 0
    case $2 in
    *:*) family=-6 whole=${2%/128} ;;
    *) family=-4 whole=${2%/32} ;;
    esac
    ip $family rule del from "$whole" lookup $table 2>/dev/null
    [ "$1" = del ] || ip $family rule add from "$whole" lookup $table priority $table
}

has() { ip addr show dev "$interface" | grep -q " $1 "; }

# Routes are refused by a link that is down.
is_up() { flags=$(cat "/sys/class/net/$interface/flags" 2>/dev/null) && [ $(($flags & 1)) = 1 ]; }

tries=0
while ! is_up && [ $tries -lt 100 ]; do
    usleep 100000
    tries=$((tries + 1))
done
touch "$list"
while read -r old; do
    case " $* " in *" $old "*) continue ;; esac
    rule del "${old#+}"
    case $old in
    +*) ;;
    *) ip addr del "$old" dev "$interface" ;;
    esac
done <"$list"
for address in "$@"; do
    case $address in
    +*) ;;
    *:*)
        has "$address" || ip -6 addr add "$address" dev "$interface"
        # The VPC's router is at the same address on every link.
        [ -z "$table" ] || ip -6 route replace default via fe80:ec2::1 dev "$interface" table $table
        ;;
    *) has "$address" || ip addr add "$address" dev "$interface" ;;
    esac
    rule add "${address#+}"
done
for address in "$@"; do echo "$address"; done >"$list"
