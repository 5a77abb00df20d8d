//! The tables of testing/worlds/scenarios with real packets: every line is sent as a frame, by a guest's card or from outside,
//! and what comes out, where, and what is counted and answered is what its text says.
//!
//! Every line is sent twice: first as it stands, then again, when the flow table may know it. The trace, asked of the agent
//! before and after as `groundplane why` does, must say the same.

mod expected;
pub mod site;
mod wire;

use expected::complaint;
use gp_linux::NetNs;
use gp_model::EniId;
use gp_trace::explain::{PathView, WhyView};
use gp_trace::{Asker, Ingress, LocalService, Path, Probe, Verdict};
use gp_wire::{IpPacket, Packet, Transport, build, icmp, protocol};
use gp_worlds::Sent;
use gp_worlds::matrix::{self, Line, MATRICES, Matrix};
use serde_json::{Value, json};
use site::Site;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Worlds at a time.
const WORKERS: usize = 2;
/// Largest IP packet of a guest's card, in bytes.
const GUEST_MTU: u16 = 9001;
const ETHERNET_BYTES: usize = 14;
/// Only worlds with this in their name or in that of their file are tried.
const FILTER: &str = "SCENARIO";

/// A world's lines between two that forget all connections.
struct Part<'a> {
    name: String,
    world: String,
    lines: Vec<Line<'a>>,
}

pub fn every_scenario_arrives_as_its_table_says() {
    let wanted = std::env::var(FILTER).unwrap_or_default();
    let matrices = MATRICES.iter().flat_map(|(file, text)| matrix::read(text).into_iter().map(move |one| (*file, one)));
    let parts: Vec<Part<'_>> = matrices.flat_map(|(file, matrix)| parts(file, &matrix)).collect();
    let parts: Vec<&Part<'_>> = parts.iter().filter(|part| part.name.contains(&wanted)).collect();
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let lines = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS.min(parts.len()) {
            scope.spawn(|| {
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // An outside of its own.
                    let tried = || NetNs::new_unpinned().unwrap().run(|| try_part(part)).unwrap();
                    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(tried));
                    let found = found.unwrap_or_else(|_panic| vec![format!("{}: panicked, see above", part.name)]);
                    complaints.lock().unwrap().extend(found);
                    lines.fetch_add(part.packets(), Ordering::Relaxed);
                }
            });
        }
    });
    println!("{} lines in {} worlds", lines.into_inner(), parts.len());
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

impl Part<'_> {
    fn packets(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line, Line::Packet { .. })).count()
    }
}

/// An agent that forgets is a new one, in the world as it is then.
fn parts<'a>(file: &str, matrix: &Matrix<'a>) -> Vec<Part<'a>> {
    let name = format!("{file}, {}", matrix.name);
    let mut world = matrix.world.clone();
    let mut parts = vec![Part { name: name.clone(), world: world.clone(), lines: Vec::new() }];
    for line in &matrix.lines {
        match line {
            Line::Forget => parts.push(Part { name: name.clone(), world: world.clone(), lines: Vec::new() }),
            other => parts.last_mut().expect("there is a first one").lines.push(*other),
        }
        if let Line::Change(statement) = line {
            world += statement;
            world.push('\n');
        }
    }
    parts
}

fn try_part(part: &Part<'_>) -> Vec<String> {
    let started = Instant::now();
    let mut site = Site::new(&part.world);
    let up_after = started.elapsed().as_millis();
    site.settle();
    let mut complaints = Vec::new();
    for line in &part.lines {
        match line {
            Line::Change(statement) => site.change(statement),
            Line::Packet { text, expected } => {
                let found = try_line(&mut site, text, expected);
                complaints
                    .extend(found.map(|complaint| format!("{}: {text} => {expected}\n    {complaint}", part.name)));
            }
            Line::Forget => unreachable!("parts end there"),
        }
    }
    println!("{}: up after {up_after} ms, all after {} ms", part.name, started.elapsed().as_millis());
    complaints
}

fn try_line(site: &mut Site, text: &str, expected: &str) -> Option<String> {
    let traced = site.place.scenario.trace(text).unwrap();
    let found = site.place.scenario.full_summary(&traced);
    if found != expected {
        return Some(format!("the trace says {found}"));
    }
    let first = try_packet(site, text).map(|complaint| format!("first: {complaint}"));
    first.or_else(|| try_packet(site, text).map(|complaint| format!("again: {complaint}")))
}

fn try_packet(site: &mut Site, text: &str) -> Option<String> {
    let sent = with_real_neighbors(site, site.place.scenario.packet(text).unwrap());
    let frame = frame_of(site, text, &sent);
    if let Some(complaint) = ask(site, text, &sent, &frame) {
        return Some(format!("before: {complaint}"));
    }
    let before = site.place.agent().drops();
    let path = site.place.scenario.send(text).unwrap();
    let Some((wire, vlan)) = site.wire(sent.ingress) else { return Some("there is no such card".to_owned()) };
    let is_large = frame.len() > usize::from(GUEST_MTU) + ETHERNET_BYTES;
    let done = match vlan {
        Some(vlan) => wire.send(&tagged(&frame, vlan)),
        None if is_large => wire.send_large(&frame, GUEST_MTU),
        None => wire.send(&frame),
    };
    if let Err(error) = done {
        return Some(format!("it can't be sent: {error}"));
    }
    // What is kept silent about shows nowhere.
    let mut arrivals = match path.verdict() {
        Verdict::LocalService(_) => Vec::new(),
        _ => site.wait(|| site.place.agent().drops() != before),
    };
    arrivals.extend(site.settle());
    if let Some(complaint) = complaint(site, sent.ingress, &sent.packet, &path, &arrivals) {
        return Some(complaint);
    }
    let dropped = difference(&before, &site.place.agent().drops());
    let expected = match path.verdict() {
        Verdict::Drop(drop) => BTreeMap::from([(drop.reason.name(), 1)]),
        _ => BTreeMap::new(),
    };
    if dropped != expected {
        return Some(format!("counted as dropped: {dropped:?}, not {expected:?}"));
    }
    ask(site, text, &sent, &frame).map(|complaint| format!("after: {complaint}"))
}

fn difference(
    before: &BTreeMap<&'static str, u64>,
    after: &BTreeMap<&'static str, u64>,
) -> BTreeMap<&'static str, u64> {
    let increase = |(name, count): (&&'static str, &u64)| (*name, count - before.get(name).unwrap_or(&0));
    after.iter().map(increase).filter(|(_, count)| *count > 0).collect()
}

/// With a tag of IEEE 802.1Q behind the addresses.
fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    [&frame[..12], &[0x81, 0x00], &vlan.to_be_bytes(), &frame[12..]].concat()
}

/// Texts know nothing of the uplink's links.
fn with_real_neighbors(site: &Site, mut sent: Sent) -> Sent {
    if let (Ingress::Uplink, Packet::Ip(packet)) = (sent.ingress, &mut sent.packet) {
        (packet.src_mac, packet.dst_mac) = (site.outside.mac, site.inner_mac);
    }
    sent
}

/// A question to the DHCP server is one that it can answer.
fn frame_of(site: &Site, text: &str, sent: &Sent) -> Vec<u8> {
    let path = site.place.scenario.trace(text).unwrap();
    match (path.verdict(), &sent.packet) {
        (Verdict::LocalService(LocalService::Dhcp), Packet::Ip(packet)) => discover(packet),
        (_, packet) => build::emit(packet),
    }
}

/// DHCPDISCOVER (RFC 2131, 2), without UDP checksum.
fn discover(packet: &IpPacket) -> Vec<u8> {
    const OPTIONS: [u8; 8] = [99, 130, 83, 99, 53, 1, 1, 255];
    let frame_bytes = packet.frame_bytes + 236 + OPTIONS.len() as u32;
    let mut frame = build::emit(&Packet::Ip(IpPacket { frame_bytes, ..packet.clone() }));
    let message = packet.frame_bytes as usize;
    frame[message - 2..message].fill(0);
    frame[message..message + 3].copy_from_slice(&[1, 1, 6]);
    frame[message + 28..message + 34].copy_from_slice(&packet.src_mac.0);
    frame[message + 236..].copy_from_slice(&OPTIONS);
    frame
}

/// Asks the agent about this frame, and where it is a first packet, about such a packet; both must say what the trace says.
fn ask(site: &Site, text: &str, sent: &Sent, frame: &[u8]) -> Option<String> {
    let scenario = &site.place.scenario;
    let path = scenario.trace(text).unwrap();
    let wanted = json!(PathView::new(&scenario.world, &path));
    let from = match sent.ingress {
        Ingress::Eni(eni) => eni.to_string(),
        Ingress::Uplink => "outside".to_owned(),
    };
    let answer = match site.place.agent().why_frame(&from, frame) {
        Ok(answer) => answer,
        Err(error) => return Some(error.to_string()),
    };
    if answer["path"]["forward"] != wanted {
        return Some(format!(
            "why says {}\n      instead of {}",
            answer["text"],
            PathView::new(&scenario.world, &path)
        ));
    }
    let Packet::Ip(packet) = &sent.packet else { return None };
    ask_plainly(site, sent.ingress, packet, &path)
}

fn ask_plainly(site: &Site, ingress: Ingress, packet: &IpPacket, path: &Path) -> Option<String> {
    let (asker, probe) = (asker(site, ingress, packet)?, probe(packet)?);
    let scenario = &site.place.scenario;
    let dst = packet.tuple.dst;
    let from = match asker {
        Asker::Eni(eni) => eni.to_string(),
        Asker::Outside(address) => address.to_string(),
    };
    // Addresses of VPCs mean nothing outside, and there are none that nobody has.
    let is_public = match dst {
        IpAddr::V4(dst) => scenario.world.is_public_ip_taken(dst),
        IpAddr::V6(dst) => scenario.world.vpc_of_ipv6(dst).is_some(),
    };
    if ingress == Ingress::Uplink && !is_public {
        return None;
    }
    let why = gp_trace::why(&scenario.world, &scenario.connections, asker, dst, probe, gp_model::Timestamp(0)).ok()?;
    let wanted: Value = json!(WhyView::new(&scenario.world, &why));
    match site.place.agent().why(&from, &dst.to_string(), &probe.to_string()) {
        Ok(answer) if answer["path"] == wanted => None,
        Ok(answer) => Some(format!(
            "why {probe} says {}\n      instead of {}",
            answer["text"],
            WhyView::new(&scenario.world, &why)
        )),
        Err(error) => Some(format!("why {probe}: {error}; {path:?}")),
    }
}

/// Who would ask for such a packet; `None` where it has an address that nobody would choose.
fn asker(site: &Site, ingress: Ingress, packet: &IpPacket) -> Option<Asker> {
    match ingress {
        Ingress::Uplink => {
            let world = &site.place.scenario.world;
            let is_held = world.tables().enis.values().any(|eni| eni.addresses().any(|own| own == packet.tuple.src));
            (!is_held).then_some(Asker::Outside(packet.tuple.src))
        }
        Ingress::Eni(eni) => is_own(site, eni, packet.tuple.src).then_some(Asker::Eni(eni)),
    }
}

fn is_own(site: &Site, eni: EniId, address: IpAddr) -> bool {
    site.place.scenario.world.eni(eni).is_some_and(|eni| eni.addresses().any(|own| own == address))
}

/// The probe that a packet is, if it could begin something.
fn probe(packet: &IpPacket) -> Option<Probe> {
    if packet.fragment.is_some() || packet.related.is_some() {
        return None;
    }
    let port = packet.tuple.dst_port;
    match packet.transport {
        Transport::Tcp { flags } => flags.opens().then_some(Probe::Tcp { port }),
        Transport::Udp => Some(Probe::Udp { port }),
        Transport::Icmp { icmp_type: icmp::ECHO_REQUEST | icmp::V6_ECHO_REQUEST, .. } => Some(Probe::Echo),
        Transport::Icmp { .. } => None,
        Transport::Other => (packet.tuple.protocol != protocol::ICMP).then_some(Probe::Protocol(packet.tuple.protocol)),
    }
}
