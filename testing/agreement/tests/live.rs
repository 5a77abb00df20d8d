//! The attached program between real interfaces: what a test run can't show, such as where a redirected frame comes out.

use bytemuck::Zeroable;
use gp_abi::{ACTION_DELIVER, FlowKey, FlowValue, UPCALL_MAGIC, UpcallHeader};
use gp_agreement::root_or_skip;
use gp_compile::{Cause, Upcall, key_of};
use gp_linux::{
    GuestAddress, GuestConfig, Links, NetNs, PacketSender, TAP_QUEUE_PACKETS, Tap, VethSpec, configure_guest,
};
use gp_maps::{Capacity, Fastpath, UpcallBudget};
use gp_model::Mac;
use gp_wire::build::{self, Ends};
use gp_wire::{Packet, TcpFlags};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(2);
/// What the sender believes to be its router; the receiver must see its own address instead.
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 0xfe]);

struct Guest {
    netns: NetNs,
    mac: Mac,
    address: Ipv4Addr,
    /// Of its host side.
    ifindex: u32,
}

/// A host with two guests whose host sides carry the program, and the TAP for upcalls.
struct Host {
    netns: NetNs,
    fastpath: Fastpath,
    tap: Tap,
    guests: [Guest; 2],
}

impl Host {
    fn new() -> Self {
        let netns = NetNs::new_unpinned().unwrap();
        let capacity = Capacity { flows: 100, adjacencies: 100, connections: 1, enis: 10, allowances: 5, pairs: 1 };
        let mut fastpath = Fastpath::load(None, capacity).unwrap();
        let tap = Tap::ensure(&netns, "gp-upcall", 65_000, 1).unwrap();
        fastpath.settings().set_upcall_ifindex(tap.ifindex).unwrap();
        let guests = [1, 2].map(|number| plug_in(&netns, &mut fastpath, number));
        Self { netns, fastpath, tap, guests }
    }

    /// The next upcall that is not the guests' own neighbour discovery.
    fn next_upcall(&self) -> (Upcall, Vec<u8>) {
        let mut file = File::from(self.tap.queues[0].try_clone().unwrap());
        let mut buffer = vec![0; 70_000];
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Ok(length) = file.read(&mut buffer) else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            let (upcall, frame) = Upcall::split(&buffer[..length]).expect("only upcalls come out of the TAP");
            if frame[12..14] == [8, 0] {
                return (upcall, frame.to_vec());
            }
        }
        panic!("no upcall came");
    }
}

fn plug_in(netns: &NetNs, fastpath: &mut Fastpath, number: u8) -> Guest {
    let guest = NetNs::new_unpinned().unwrap();
    let (mac, address) = (Mac([2, 0, 0, 0, 0, number]), Ipv4Addr::new(10, 0, 0, number));
    let host_name = format!("gp-{number}");
    let spec = VethSpec {
        host_name: &host_name,
        host_mac: None,
        guest_name: "eth0",
        guest_netns: &guest,
        guest_mac: mac.0,
        mtu: 1500,
        alias: "test",
    };
    let veth = Links::open(netns).unwrap().ensure_veth(&spec).unwrap();
    netns.run(|| fastpath.attach_eni(&host_name)).unwrap().unwrap();
    fastpath.enis().ensure(veth.host_ifindex, UpcallBudget { per_second: 1000, burst: 100 }).unwrap();
    let addresses = [GuestAddress { address: address.into(), prefix_len: 24 }];
    let config = GuestConfig {
        ifname: "eth0",
        mtu: 1500,
        addresses: &addresses,
        gateway_v4: None,
        gateway_v6: None,
        metric: 0,
        policy: None,
    };
    configure_guest(&guest, &config).unwrap();
    Guest { netns: guest, mac, address, ifindex: veth.host_ifindex }
}

fn udp_frame(host: &Host, payload: u32) -> (Packet, Vec<u8>) {
    let [sender, receiver] = &host.guests;
    let (src, dst) = (IpAddr::V4(sender.address), IpAddr::V4(receiver.address));
    let packet = Packet::Ip(build::udp(Ends { src_mac: sender.mac, dst_mac: ROUTER, src, dst }, 4000, 5000, payload));
    let frame = build::emit(&packet);
    (packet, frame)
}

/// What a trace would say; here nobody asks one.
fn allow(host: &Host, packet: &Packet) {
    let [sender, receiver] = &host.guests;
    allow_between(host, sender, receiver, &key_of(packet, sender.ifindex).unwrap());
}

fn allow_between(host: &Host, sender: &Guest, receiver: &Guest, key: &FlowKey) {
    let value = FlowValue {
        action: ACTION_DELIVER,
        out_ifindex: receiver.ifindex,
        mtu: 1514,
        dst_mac: receiver.mac.0,
        src_mac: ROUTER.0,
        ..Zeroable::zeroed()
    };
    assert_eq!(key.port, sender.ifindex);
    gp_agreement::write_flow(host.fastpath.flows(), key, &value);
}

fn send(guest: &Guest, frame: &[u8]) {
    let ifindex = Links::open(&guest.netns).unwrap().link("eth0").unwrap().unwrap().ifindex;
    PacketSender::open(&guest.netns).unwrap().send(ifindex, frame).unwrap();
}

#[test]
fn a_miss_comes_out_of_the_tap_as_the_guest_sent_it() {
    if !root_or_skip() {
        return;
    }
    let host = Host::new();
    for payload in [0, 100, 1400] {
        let (_, frame) = udp_frame(&host, payload);
        send(&host.guests[0], &frame);
        let (upcall, received) = host.next_upcall();
        assert_eq!(upcall, Upcall { port: host.guests[0].ifindex, cause: Cause::Miss });
        assert_eq!(received, frame);
    }
}

#[test]
fn upcalls_of_one_port_take_no_room_from_those_of_others() {
    if !root_or_skip() {
        return;
    }
    let netns = NetNs::new_unpinned().unwrap();
    let capacity = Capacity { flows: 1, adjacencies: 1, connections: 1, enis: 1, allowances: 1, pairs: 1 };
    let fastpath = Fastpath::load(None, capacity).unwrap();
    let tap = Tap::ensure(&netns, "gp-upcall", 65_000, 4).unwrap();
    tap.steer(fastpath.queue_program_fd()).unwrap();
    let sender = PacketSender::open(&netns).unwrap();
    let upcall = |port| {
        let header = UpcallHeader { magic: UPCALL_MAGIC, port, ..Zeroable::zeroed() };
        [bytemuck::bytes_of(&header), &[0; 60]].concat()
    };
    for _ in 0..TAP_QUEUE_PACKETS + 10 {
        // The last ones find no room.
        let _ = sender.send(tap.ifindex, &upcall(7));
    }
    sender.send(tap.ifindex, &upcall(9)).unwrap();
    let waiting = |queue: &OwnedFd| {
        let (mut file, mut buffer) = (File::from(queue.try_clone().unwrap()), [0; 200]);
        std::iter::from_fn(|| file.read(&mut buffer).ok()).count()
    };
    let waiting: Vec<usize> = tap.queues.iter().map(waiting).collect();
    assert_eq!(waiting, [0, 1, 0, TAP_QUEUE_PACKETS as usize]);
}

#[test]
fn a_hit_reaches_the_sockets_of_the_receiver() {
    if !root_or_skip() {
        return;
    }
    let host = Host::new();
    let (packet, frame) = udp_frame(&host, 100);
    allow(&host, &packet);
    let [sender, receiver] = &host.guests;
    let socket = receiver.netns.run(|| UdpSocket::bind((receiver.address, 5000)).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    send(sender, &frame);
    let mut buffer = [0; 2000];
    let (length, from) = socket.recv_from(&mut buffer).expect("the datagram arrives");
    assert_eq!((length, from), (100, (sender.address, 4000).into()));
    let flow = host.fastpath.flows().get(&key_of(&packet, sender.ifindex).unwrap()).unwrap().unwrap();
    assert_eq!((flow.packets, flow.bytes), (1, frame.len() as u64));
}

#[test]
fn what_no_entry_allows_reaches_nobody_and_the_host_least() {
    if !root_or_skip() {
        return;
    }
    let host = Host::new();
    let [sender, receiver] = &host.guests;
    let socket = receiver.netns.run(|| UdpSocket::bind((receiver.address, 5000)).unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    for _ in 0..10 {
        send(sender, &udp_frame(&host, 10).1);
        host.next_upcall();
    }
    assert!(socket.recv_from(&mut [0; 100]).is_err());
}

/// The frame with a tag of IEEE 802.1Q.
fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    [&frame[..12], &[0x81, 0], &vlan.to_be_bytes(), &frame[12..]].concat()
}

#[test]
fn a_tagged_frame_is_of_its_own_port_and_comes_out_with_the_receivers_tag() {
    if !root_or_skip() {
        return;
    }
    let host = Host::new();
    let [sender, receiver] = &host.guests;
    let port = gp_compile::port_number(sender.ifindex, 100).unwrap();
    let (packet, frame) = udp_frame(&host, 100);
    let unknown = || host.fastpath.drops().get(gp_trace::DropReason::UnknownEni).unwrap();
    send(sender, &tagged(&frame, 100));
    let deadline = Instant::now() + PATIENCE;
    while unknown() == 0 {
        assert!(Instant::now() < deadline, "a tag without a port is dropped");
    }
    host.fastpath.enis().ensure(port, UpcallBudget { per_second: 1000, burst: 100 }).unwrap();
    send(sender, &tagged(&frame, 100));
    let (upcall, received) = host.next_upcall();
    assert_eq!((upcall, received), (Upcall { port, cause: Cause::Miss }, frame.clone()));
    for vlan in [7, 0] {
        let value = FlowValue {
            action: ACTION_DELIVER,
            out_ifindex: receiver.ifindex,
            out_vlan: vlan,
            output: gp_abi::OUTPUT_PEER,
            mtu: 1514,
            dst_mac: receiver.mac.0,
            src_mac: ROUTER.0,
            ..Zeroable::zeroed()
        };
        gp_agreement::write_flow(host.fastpath.flows(), &key_of(&packet, port).unwrap(), &value);
        let tap = receiver.netns.run(TaggedTap::open).unwrap();
        send(sender, &tagged(&frame, 100));
        let (length, tag) = tap.next_from(ROUTER);
        assert_eq!((length, tag), (frame.len(), (vlan != 0).then_some(vlan)));
    }
}

/// Whatever the interfaces of a namespace receive, with the tags that the kernel keeps beside the frames.
struct TaggedTap(std::os::fd::OwnedFd);

impl TaggedTap {
    fn open() -> Self {
        use std::os::fd::{AsRawFd, FromRawFd};
        let all = i32::from((libc::ETH_P_ALL as u16).to_be());
        // SAFETY: socket(2) takes three integers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, all) };
        assert!(fd >= 0, "a packet socket can be opened");
        // SAFETY: the descriptor has just been made and nobody else owns it.
        let fd = unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) };
        let on: libc::c_int = 1;
        let patience = libc::timeval { tv_sec: PATIENCE.as_secs() as i64, tv_usec: 0 };
        // SAFETY: the values are live and as long as told.
        let set = unsafe {
            let (on, patience) = ((&raw const on).cast(), (&raw const patience).cast());
            let auxdata = libc::setsockopt(fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_AUXDATA, on, 4);
            auxdata | libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, patience, 16)
        };
        assert_eq!(set, 0);
        Self(fd)
    }

    /// Length and tag of the next frame from this MAC address.
    fn next_from(&self, mac: Mac) -> (usize, Option<u16>) {
        use std::os::fd::AsRawFd;
        loop {
            let (mut frame, mut control) = ([0u8; 2048], [0u64; 16]);
            let mut part = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
            // SAFETY: all zeros are a msghdr.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
            (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control));
            // SAFETY: the message names live buffers of these lengths.
            let length = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, 0) };
            let length = usize::try_from(length).expect("a frame comes");
            if frame[6..12] != mac.0 {
                continue;
            }
            // SAFETY: recvmsg has filled the control buffer; auxdata was asked for and is the only message.
            let auxdata: libc::tpacket_auxdata = unsafe {
                let header = libc::CMSG_FIRSTHDR(&raw const message);
                assert!(!header.is_null());
                libc::CMSG_DATA(header).cast::<libc::tpacket_auxdata>().read_unaligned()
            };
            let is_tagged = auxdata.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
            return (length, is_tagged.then_some(auxdata.tp_vlan_tci));
        }
    }
}

/// Static neighbours: nobody answers ARP here.
fn know_each_other(host: &Host) {
    let [a, b] = &host.guests;
    for (guest, other) in [(a, b), (b, a)] {
        let neighbor = format!("neigh replace {} lladdr {ROUTER} dev eth0", other.address);
        let status = guest.netns.run(|| Command::new("ip").args(neighbor.split(' ')).status());
        assert!(status.unwrap().unwrap().success());
    }
}

/// A guest's TCP leaves checksums and segmentation to its interface: in user space both must be done.
#[test]
fn a_syn_of_a_real_stack_comes_up_with_its_checksum() {
    if !root_or_skip() {
        return;
    }
    let host = Host::new();
    let [sender, receiver] = &host.guests;
    know_each_other(&host);
    let target = (receiver.address, 80).into();
    let connecting = sender.netns.run(|| TcpStream::connect_timeout(&target, Duration::from_millis(100)));
    assert!(connecting.unwrap().is_err(), "nobody forwards the SYN");
    let (_, frame) = host.next_upcall();
    let Ok(Packet::Ip(packet)) = gp_wire::parse(&frame) else { panic!("a SYN is a packet") };
    assert_eq!(packet.transport, gp_wire::Transport::Tcp { flags: TcpFlags(TcpFlags::SYN) });
    assert_eq!(tcp_checksum(&frame), 0, "pseudo header and segment sum up to zero");
}

/// Both directions of a connection, as soon as its SYN came up; the SYN itself goes on by hand.
fn allow_connection(host: &Host) -> [FlowKey; 2] {
    let [sender, receiver] = &host.guests;
    let (upcall, mut frame) = host.next_upcall();
    assert_eq!(upcall.port, sender.ifindex);
    let Ok(Packet::Ip(mut packet)) = gp_wire::parse(&frame) else { panic!("a SYN is a packet") };
    let forward = key_of(&Packet::Ip(packet.clone()), sender.ifindex).unwrap();
    packet.tuple = packet.tuple.reversed();
    packet.src_mac = receiver.mac;
    let back = key_of(&Packet::Ip(packet), receiver.ifindex).unwrap();
    allow_between(host, receiver, sender, &back);
    allow_between(host, sender, receiver, &forward);
    gp_compile::rewrite(&mut frame, &host.fastpath.flows().get(&forward).unwrap().unwrap());
    PacketSender::open(&host.netns).unwrap().send(receiver.ifindex, &frame).unwrap();
    [forward, back]
}

/// Super-packets, checksums left to the interface, retransmissions: whatever real stacks do.
#[test]
fn a_connection_of_real_stacks_carries_its_bytes() {
    const BYTES: u64 = 64 << 20;
    if !root_or_skip() {
        return;
    }
    let host = Host::new();
    know_each_other(&host);
    let [sender, receiver] = &host.guests;
    let listener = receiver.netns.run(|| TcpListener::bind((receiver.address, 80)).unwrap()).unwrap();
    let keys = std::thread::scope(|scope| {
        let server = scope.spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap()
        });
        let client = scope.spawn(|| {
            let target = (receiver.address, 80).into();
            let mut stream = sender.netns.run(|| TcpStream::connect_timeout(&target, 5 * PATIENCE).unwrap()).unwrap();
            std::io::copy(&mut std::io::repeat(7).take(BYTES), &mut stream).unwrap();
        });
        let keys = allow_connection(&host);
        client.join().unwrap();
        assert_eq!(server.join().unwrap(), BYTES);
        keys
    });
    let [forward, back] = keys.map(|key| host.fastpath.flows().get(&key).unwrap().unwrap());
    // 1448 bytes of payload behind 66 of headers: what a wire would see, not what the kernel handed over in one piece.
    assert!(forward.packets >= BYTES / 1448, "{forward:?}");
    assert!(forward.bytes >= BYTES + 66 * (BYTES / 1448), "{forward:?}");
    assert_eq!(forward.tcp_flags & (TcpFlags::SYN | TcpFlags::ACK | TcpFlags::FIN), 0x11, "the SYN came up");
    assert!(back.packets > 0);
}

/// RFC 9293, 3.1: over pseudo header and segment; 0 where the segment's own checksum is right.
fn tcp_checksum(frame: &[u8]) -> u16 {
    let (ip, segment) = (&frame[14..34], &frame[34..]);
    let pseudo = [&ip[12..20], &[0, 6], &(segment.len() as u16).to_be_bytes()[..]].concat();
    let words = |bytes: &[u8]| -> u32 {
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low))).sum()
    };
    let sum = words(&pseudo) + words(segment);
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
