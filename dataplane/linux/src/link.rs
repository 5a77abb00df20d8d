//! Links of one namespace: veth pairs whose far end lives in an instance, and what to know about each link.
//!
//! The near ("host") end of a pair never speaks by itself: no IPv6 address is generated on it, so no router solicitation, no multicast
//! listener report and no duplicate address probe leaves it. Groundplane alone decides what an instance hears.

use crate::Mac;
use crate::error::LinuxError;
use crate::netlink::{Mode, Netlink, Step};
use crate::netns::NetNs;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoVeth, LinkAttribute, LinkFlags, LinkInfo as InfoAttribute,
    LinkMessage,
};
use rtnetlink::packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// `IFNAMSIZ` of linux/if.h less the closing zero, in bytes.
const NAME_MAX_BYTES: usize = 15;

/// Packets that may wait in front of a link without a queue discipline of its own.
const TX_QUEUE_PACKETS: u32 = 1000;

/// Queues of each end of a pair, either way. Without a word the kernel makes one for every processor that there could be
/// (drivers/net/veth.c), uses one of them, and spends several KiB on each.
const QUEUES: u32 = 1;

/// The group of links (`IFLA_GROUP`) that are to be removed together.
const DOOMED_GROUP: u32 = 0x6770_0001;
/// Links that are removed together: nobody else gets at the routing tables for so long.
const GROUP_MAX: usize = 128;

/// How often, and after what pauses, a link is looked at that comes up.
const ACTIVE_TRIES: u32 = 250;
const ACTIVE_PAUSE: Duration = Duration::from_millis(1);

/// A veth pair: the near end in the namespace of [`Links`], the far end inside an instance under its final name.
#[derive(Debug)]
pub struct VethSpec<'a> {
    /// Name of the near end.
    pub host_name: &'a str,
    /// MAC of the near end; the kernel draws one if none is given.
    pub host_mac: Option<Mac>,
    /// Name of the far end: `eth0`, `eth1`, ...
    pub guest_name: &'a str,
    /// Where the far end goes.
    pub guest_netns: &'a NetNs,
    /// MAC of the far end: the ENI's.
    pub guest_mac: Mac,
    /// MTU of both ends, in bytes.
    pub mtu: u32,
    /// A note kept by the kernel on the near end (the ENI's id).
    pub alias: &'a str,
}

/// A veth pair that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Veth {
    /// Interface index of the near end.
    pub host_ifindex: u32,
    /// Interface index of the far end, in its own namespace.
    pub guest_ifindex: u32,
}

/// What the kernel says about one link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkInfo {
    /// Interface name.
    pub name: String,
    /// Interface index.
    pub ifindex: u32,
    /// The note on it.
    pub alias: Option<String>,
    /// Hardware address; zeroes if it has none of six bytes.
    pub mac: Mac,
    /// MTU in bytes.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub is_up: bool,
    /// Kind (`veth`, `tun`, ...), if it is not a physical device.
    pub kind: Option<String>,
    /// Index of the far end of a veth pair, in the far end's namespace.
    pub peer_ifindex: Option<u32>,
    /// Whether the kernel sends what it is given for this link, and does not drop it.
    pub is_active: bool,
    /// Frames that it was given to send and has dropped: of a TAP those whose queue was full.
    pub tx_dropped: u64,
}

/// The links of one network namespace.
#[derive(Debug)]
pub struct Links {
    netlink: Netlink,
}

impl Links {
    /// Opens a handle on the links of `netns`. It stays there, whatever the calling thread does.
    ///
    /// # Errors
    /// When the namespace can't be entered.
    pub fn open(netns: &NetNs) -> Result<Self, LinuxError> {
        Ok(Self { netlink: Netlink::open(netns)? })
    }

    /// A handle on the links of the calling thread's namespace.
    pub(crate) fn open_here() -> Result<Self, LinuxError> {
        Ok(Self { netlink: Netlink::open_here()? })
    }

    pub(crate) fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// Makes the pair so: both ends there, joined, with the given MACs, MTU and note; the near end up.
    ///
    /// A pair of that name that leads elsewhere (an instance that is gone) is replaced.
    ///
    /// # Errors
    /// When a name is no interface name, or the kernel refuses; `EEXIST` when the instance has another `guest_name` already.
    pub fn ensure_veth(&self, spec: &VethSpec<'_>) -> Result<Veth, LinuxError> {
        check_name(spec.host_name)?;
        check_name(spec.guest_name)?;
        match self.create_veth(spec) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => match self.link(spec.host_name)? {
                Some(existing) => {
                    if let Some(veth) = joined(&existing, spec)? {
                        self.set_quiet(veth.host_ifindex, spec.alias)?;
                        self.set_up(veth.host_ifindex)?;
                        return Ok(veth);
                    }
                    self.remove_link(spec.host_name)?;
                    self.create_veth(spec)?;
                }
                None => return Err(error),
            },
            other => other?,
        }
        let link = self.link(spec.host_name)?.ok_or_else(|| vanished(spec.host_name))?;
        self.set_quiet(link.ifindex, spec.alias)?;
        self.set_up(link.ifindex)?;
        let guest_ifindex = link.peer_ifindex.ok_or_else(|| vanished(spec.guest_name))?;
        Ok(Veth { host_ifindex: link.ifindex, guest_ifindex })
    }

    /// Both ends in one request: the far end is never seen outside the instance.
    fn create_veth(&self, spec: &VethSpec<'_>) -> Result<(), LinuxError> {
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(spec.guest_name)
            .address(spec.guest_mac.to_vec())
            .mtu(spec.mtu)
            .txqueuelen(TX_QUEUE_PACKETS)
            .append_extra_attribute(LinkAttribute::NumTxQueues(QUEUES))
            .append_extra_attribute(LinkAttribute::NumRxQueues(QUEUES))
            .setns_by_fd(spec.guest_netns.as_raw_fd())
            .build();
        let mut pair = LinkVeth::new(spec.host_name, spec.guest_name)
            .mtu(spec.mtu)
            .txqueuelen(TX_QUEUE_PACKETS)
            .append_extra_attribute(LinkAttribute::NumTxQueues(QUEUES))
            .append_extra_attribute(LinkAttribute::NumRxQueues(QUEUES))
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)));
        if let Some(mac) = spec.host_mac {
            pair = pair.address(mac.to_vec());
        }
        self.netlink.request(RouteNetlinkMessage::NewLink(pair.build()), Mode::Create, || {
            format!("create the veth pair {} - {}", spec.host_name, spec.guest_name)
        })?;
        Ok(())
    }

    /// A veth pair inside this namespace, both ends up and quiet. Used for re-injection and by tests.
    ///
    /// # Errors
    /// When a name is no interface name, or the kernel refuses.
    pub fn ensure_local_veth(&self, name: &str, peer: &str, mtu: u32) -> Result<(LinkInfo, LinkInfo), LinuxError> {
        check_name(name)?;
        check_name(peer)?;
        if self.link(name)?.is_none() {
            let end = LinkMessageBuilder::<LinkUnspec>::new().name(peer).mtu(mtu).build();
            let pair = LinkVeth::new(name, peer).mtu(mtu).set_info_data(InfoData::Veth(InfoVeth::Peer(end)));
            self.netlink.request(RouteNetlinkMessage::NewLink(pair.build()), Mode::Create, || {
                format!("create the veth pair {name} - {peer}")
            })?;
        }
        let mut ends = Vec::with_capacity(2);
        for end in [name, peer] {
            let link = self.link(end)?.ok_or_else(|| vanished(end))?;
            self.set_quiet(link.ifindex, end)?;
            self.set_up(link.ifindex)?;
            ends.push(self.link(end)?.ok_or_else(|| vanished(end))?);
        }
        let far = ends.pop().expect("two ends were pushed");
        let near = ends.pop().expect("two ends were pushed");
        Ok((near, far))
    }

    /// Removes a link (and with a veth its other end). Says whether it was there.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_link(&self, name: &str) -> Result<bool, LinuxError> {
        check_name(name)?;
        let message = LinkUnspec::new_with_name(name).build();
        let result = self
            .netlink
            .request(RouteNetlinkMessage::DelLink(message), Mode::Existing, || format!("remove the link {name}"));
        is_there(result.map(|_| ()))
    }

    /// Removes links together, by index: the kernel waits once for all of them. Those that are not there are fine.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove_links(&self, links: &[u32]) -> Result<(), LinuxError> {
        for chunk in links.chunks(GROUP_MAX) {
            let marks = chunk.iter().map(|&ifindex| Step {
                message: RouteNetlinkMessage::SetLink(grouped(LinkUnspec::new_with_index(ifindex).build())),
                mode: Mode::Existing,
                what: format!("mark the link {ifindex} for removal"),
                forgiven: &[libc::ENODEV],
            });
            self.netlink.batch(&marks.collect::<Vec<_>>())?;
            let message = RouteNetlinkMessage::DelLink(grouped(LinkMessage::default()));
            let removed = self.netlink.request(message, Mode::Existing, || "remove links together".into());
            is_there(removed.map(|_| ()))?;
        }
        Ok(())
    }

    /// All links of the namespace.
    ///
    /// # Errors
    /// When the kernel's answer can't be read.
    pub fn list_links(&self) -> Result<Vec<LinkInfo>, LinuxError> {
        let objects = self
            .netlink
            .request(RouteNetlinkMessage::GetLink(LinkMessage::default()), Mode::Dump, || "list the links".into())?;
        Ok(objects.iter().filter_map(read_link).collect())
    }

    /// One link by name, if it is there.
    ///
    /// # Errors
    /// When the kernel's answer can't be read.
    pub fn link(&self, name: &str) -> Result<Option<LinkInfo>, LinuxError> {
        check_name(name)?;
        let message = LinkUnspec::new_with_name(name).build();
        let result =
            self.netlink.request(RouteNetlinkMessage::GetLink(message), Mode::Get, || format!("look up {name}"));
        match result {
            Ok(objects) => Ok(objects.iter().find_map(read_link)),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until a link that is up sends what it is given. When the other end of a pair comes up, the kernel drops
    /// what it is given for this end until a worker of its own has looked at it (net/core/link_watch.c): an answer to the
    /// first question for a neighbour would be lost, and the next question comes a second later.
    ///
    /// Since Linux 6.8 asking for the link makes the kernel look at once. A link whose other end is down again stays as
    /// it is: then this gives up.
    ///
    /// # Errors
    /// When the kernel's answer can't be read.
    pub fn wait_active(&self, name: &str) -> Result<(), LinuxError> {
        for _ in 0..ACTIVE_TRIES {
            if self.link(name)?.is_none_or(|link| link.is_active) {
                break;
            }
            std::thread::sleep(ACTIVE_PAUSE);
        }
        Ok(())
    }

    /// Sets a link up.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn set_up(&self, ifindex: u32) -> Result<(), LinuxError> {
        self.set(LinkUnspec::new_with_index(ifindex).up().build(), || format!("set the link {ifindex} up"))
    }

    /// Sets the MTU of a link, in bytes.
    ///
    /// # Errors
    /// When there is no such link or it can't carry that much.
    pub fn set_mtu(&self, ifindex: u32, mtu: u32) -> Result<(), LinuxError> {
        self.set(LinkUnspec::new_with_index(ifindex).mtu(mtu).build(), || {
            format!("set the MTU of link {ifindex} to {mtu}")
        })
    }

    /// Sets the length of the transmit queue, in packets.
    pub(crate) fn set_tx_queue(&self, ifindex: u32, packets: u32) -> Result<(), LinuxError> {
        self.set(LinkUnspec::new_with_index(ifindex).txqueuelen(packets).build(), || {
            format!("set the queue length of link {ifindex}")
        })
    }

    /// Hands frames to the link at once, without a queueing discipline before it.
    pub(crate) fn set_no_qdisc(&self, ifindex: u32) -> Result<(), LinuxError> {
        let mut qdisc = TcMessage::with_index(ifindex.cast_signed());
        qdisc.header.parent = TcHandle::ROOT;
        qdisc.attributes.push(TcAttribute::Kind("noqueue".into()));
        let message = RouteNetlinkMessage::NewQueueDiscipline(qdisc);
        self.netlink.request(message, Mode::Replace, || format!("take the qdisc from link {ifindex}")).map(|_| ())
    }

    /// No generated IPv6 address, and a note. To be called before the link goes up.
    pub(crate) fn set_quiet(&self, ifindex: u32, alias: &str) -> Result<(), LinuxError> {
        let quiet = vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)])];
        let noted = || LinkUnspec::new_with_index(ifindex).alias(alias);
        let message = noted().append_extra_attribute(LinkAttribute::AfSpecUnspec(quiet)).build();
        let result = self.set(message, || format!("silence the link {ifindex}"));
        match result {
            // A kernel booted without IPv6 has nothing to silence.
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
                self.set(noted().build(), || format!("note {alias} on the link {ifindex}"))
            }
            other => other,
        }
    }

    fn set(&self, message: LinkMessage, what: impl Fn() -> String) -> Result<(), LinuxError> {
        self.netlink.request(RouteNetlinkMessage::SetLink(message), Mode::Existing, what).map(|_| ())
    }
}

/// The pair, if `existing` really is the near end of the one that `spec` asks for.
fn joined(existing: &LinkInfo, spec: &VethSpec<'_>) -> Result<Option<Veth>, LinuxError> {
    let Some(far) = Links::open(spec.guest_netns)?.link(spec.guest_name)? else { return Ok(None) };
    let is_joined = existing.peer_ifindex == Some(far.ifindex) && far.peer_ifindex == Some(existing.ifindex);
    let is_same = far.mac == spec.guest_mac
        && far.mtu == spec.mtu
        && existing.mtu == spec.mtu
        && spec.host_mac.is_none_or(|mac| mac == existing.mac);
    Ok((is_joined && is_same).then_some(Veth { host_ifindex: existing.ifindex, guest_ifindex: far.ifindex }))
}

fn grouped(mut message: LinkMessage) -> LinkMessage {
    message.attributes.push(LinkAttribute::Group(DOOMED_GROUP));
    message
}

fn read_link(object: &RouteNetlinkMessage) -> Option<LinkInfo> {
    let RouteNetlinkMessage::NewLink(message) = object else { return None };
    let mut link = LinkInfo {
        ifindex: message.header.index,
        is_up: message.header.flags.contains(LinkFlags::Up),
        ..LinkInfo::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias.clone()),
            LinkAttribute::Address(mac) => link.mac = mac.as_slice().try_into().unwrap_or_default(),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Link(index) => link.peer_ifindex = Some(*index),
            LinkAttribute::Stats64(stats) => link.tx_dropped = stats.tx_dropped,
            LinkAttribute::Qdisc(name) => link.is_active = name != "noop",
            LinkAttribute::LinkInfo(infos) => {
                link.kind = infos.iter().find_map(|info| match info {
                    InfoAttribute::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(link)
}

/// Turns "no such thing" into `false`.
pub(crate) fn is_there(result: Result<(), LinuxError>) -> Result<bool, LinuxError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO | libc::ESRCH | libc::EADDRNOTAVAIL) => Ok(false),
            _ => Err(error),
        },
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), LinuxError> {
    let is_fine = !name.is_empty()
        && name.len() <= NAME_MAX_BYTES
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b':');
    if is_fine { Ok(()) } else { Err(LinuxError::Invalid(format!("{name:?} is not an interface name"))) }
}

pub(crate) fn vanished(name: &str) -> LinuxError {
    LinuxError::Missing(format!("the link {name} vanished while it was being set up"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::root_or_skip;

    fn spec<'a>(guest: &'a NetNs, mac: Mac) -> VethSpec<'a> {
        VethSpec {
            host_name: "gpe0123456789ab",
            host_mac: None,
            guest_name: "eth0",
            guest_netns: guest,
            guest_mac: mac,
            mtu: 9001,
            alias: "eni-0123456789abcdef0",
        }
    }

    #[test]
    fn a_pair_is_made_once_and_found_afterwards() {
        if !root_or_skip() {
            return;
        }
        let (host, guest) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        let links = Links::open(&host).unwrap();
        let mac = [2, 0, 0, 0, 0, 7];
        let first = links.ensure_veth(&spec(&guest, mac)).unwrap();
        assert_eq!(links.ensure_veth(&spec(&guest, mac)).unwrap(), first);
        let near = links.link("gpe0123456789ab").unwrap().unwrap();
        assert_eq!((near.mtu, near.is_up, near.alias.as_deref()), (9001, true, Some("eni-0123456789abcdef0")));
        assert_eq!(near.kind.as_deref(), Some("veth"));
        let far = Links::open(&guest).unwrap().link("eth0").unwrap().unwrap();
        assert_eq!((far.mac, far.mtu, far.ifindex), (mac, 9001, first.guest_ifindex));
        assert!(links.remove_link("gpe0123456789ab").unwrap());
        assert!(!links.remove_link("gpe0123456789ab").unwrap());
        assert!(Links::open(&guest).unwrap().link("eth0").unwrap().is_none());
    }

    #[test]
    fn a_pair_that_leads_to_a_gone_instance_is_replaced() {
        if !root_or_skip() {
            return;
        }
        let host = NetNs::new_unpinned().unwrap();
        let links = Links::open(&host).unwrap();
        let (old, new) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        links.ensure_veth(&spec(&old, [2, 0, 0, 0, 0, 1])).unwrap();
        links.ensure_veth(&spec(&new, [2, 0, 0, 0, 0, 2])).unwrap();
        assert!(Links::open(&old).unwrap().link("eth0").unwrap().is_none());
        assert_eq!(Links::open(&new).unwrap().link("eth0").unwrap().unwrap().mac, [2, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn the_first_frame_into_a_link_that_is_active_arrives() {
        if !root_or_skip() {
            return;
        }
        let (host, guest) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        let links = Links::open(&host).unwrap();
        let sender = crate::PacketSender::open(&host).unwrap();
        for _ in 0..50 {
            let veth = links.ensure_veth(&spec(&guest, [2, 0, 0, 0, 0, 1])).unwrap();
            Links::open(&guest).unwrap().set_up(veth.guest_ifindex).unwrap();
            links.wait_active("gpe0123456789ab").unwrap();
            sender.send(veth.host_ifindex, &crate::testing::frame(100)).unwrap();
            // What arrives is counted within the call that sends it, or by a soft interrupt soon.
            let counts = || guest.run(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap()).unwrap();
            let received = || counts().lines().any(|line| line.contains("eth0:") && !line.contains("eth0:       0"));
            assert!(
                (0..1000).any(|_| received() || {
                    std::thread::sleep(ACTIVE_PAUSE);
                    false
                }),
                "{}",
                counts()
            );
            links.remove_link("gpe0123456789ab").unwrap();
        }
    }

    #[test]
    fn links_are_removed_together_and_no_others() {
        if !root_or_skip() {
            return;
        }
        let host = NetNs::new_unpinned().unwrap();
        let links = Links::open(&host).unwrap();
        let pair =
            |turn: usize| links.ensure_local_veth(&format!("a{turn}"), &format!("b{turn}"), 1500).unwrap().0.ifindex;
        let mut doomed: Vec<u32> = (0..GROUP_MAX + 3).map(pair).collect();
        links.ensure_local_veth("kept", "keptp", 1500).unwrap();
        // One of them goes by itself meanwhile.
        assert!(links.remove_link("a0").unwrap());
        links.remove_links(&doomed).unwrap();
        let mut left: Vec<_> = links.list_links().unwrap().into_iter().map(|link| link.name).collect();
        left.sort();
        assert_eq!(left, ["kept", "keptp", "lo"]);
        doomed.truncate(1);
        links.remove_links(&doomed).unwrap();
        links.remove_links(&[]).unwrap();
    }

    #[test]
    fn the_host_end_has_no_ipv6_address() {
        if !root_or_skip() {
            return;
        }
        let (host, guest) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        let links = Links::open(&host).unwrap();
        let veth = links.ensure_veth(&spec(&guest, [2, 0, 0, 0, 0, 1])).unwrap();
        Links::open(&guest).unwrap().set_up(veth.guest_ifindex).unwrap();
        let addresses = host.run(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap()).unwrap();
        assert!(!addresses.contains("gpe0123456789ab"), "{addresses}");
    }

    #[test]
    fn names_that_are_no_interface_names_are_refused() {
        for name in ["", ".", "..", "a/b", "a b", "a:b", "sixteen-bytes-xx", "nul\0"] {
            assert!(matches!(check_name(name), Err(LinuxError::Invalid(_))), "{name:?}");
        }
        assert!(check_name("gpe0123456789ab").is_ok());
    }
}
