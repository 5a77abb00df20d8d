# Sourced by ./quickstart and ./test: installs what they need and nothing else.
# Debian packages go to the system; Python packages go to .venv inside the repository.

step() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die() { printf '\033[31m%s\033[0m\n' "$*" >&2; exit 1; }

BASE_PACKAGES="clang gcc g++ make libc6-dev iproute2 curl ca-certificates python3 python3-venv procps util-linux iputils-ping"
TEST_PACKAGES="iperf3 tcpdump netcat-openbsd e2fsprogs qemu-system-x86 nftables traceroute tinyproxy-bin"
BENCH_PACKAGES="ethtool nftables"

require_root() {
    [ "$(id -u)" = 0 ] || die "Groundplane makes namespaces and loads BPF programs: run this as root (sudo $0)."
}

require_cargo() {
    command -v cargo >/dev/null || die "cargo is missing: install Rust (https://rustup.rs), then run $0 again."
}

# install_packages PACKAGE...: those that are missing.
install_packages() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || { note "Debian packages: all there"; return 0; }
    command -v apt-get >/dev/null || die "missing:$missing (install them with your distribution's package manager)"
    note "Debian packages: installing$missing"
    apt-get update -qq >/dev/null || die "apt-get update failed"
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null \
        || die "apt-get install$missing failed"
}

# install_vm_image: what virtual machines boot from; unpacked, not installed. On a processor without it, tests of machines are skipped.
install_vm_image() {
    [ "$(uname -m)" = x86_64 ] || { note "Virtual machines: not on this processor"; return 0; }
    note "Virtual machines: the guest's kernel and busybox"
    tools/vm-image || die "tools/vm-image failed"
}

# install_python REQUIREMENTS: into .venv, once per content of the file.
install_python() {
    requirements=$1
    stamp=.venv/.installed-$(cksum <"$requirements" | cut -d' ' -f1)
    if [ -e "$stamp" ]; then
        note "Python packages: all there"
        return 0
    fi
    note "Python packages: installing $(grep -v '^#' "$requirements" | cut -d'=' -f1 | tr '\n' ' ')into .venv"
    [ -x .venv/bin/python ] || python3 -m venv .venv || die "python3 -m venv failed"
    .venv/bin/pip install --quiet --disable-pip-version-check -r "$requirements" || die "pip install failed"
    touch "$stamp"
}
