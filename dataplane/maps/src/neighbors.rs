//! The program that answers neighbour discovery on the uplink's card, and its table of blocks.
//!
//! Both live as long as the program is attached, so answers go on while no process runs. Nothing is pinned: a later
//! process fills a table of its own and puts its program in the place of the former one.

use crate::attach::{AttachError, attach, detach};
use crate::error::{LoadError, MapError};
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{MapData, MapError as AyaError};
use aya::programs::SchedClassifier;
use aya::{Ebpf, EbpfLoader};
use gp_abi::NeighborAnswer;
use ipnet::Ipv6Net;
use std::collections::BTreeMap;
use std::io;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/from_card.bpf.o"));
const PROGRAM: &str = "gp_from_card";
const BLOCKS: &str = "gp_neighbors";

/// [`NeighborAnswer`] as aya takes it.
type Value = [u8; size_of::<NeighborAnswer>()];

/// Who is answered for: the most specific block that holds an address decides.
#[derive(Debug)]
pub struct Neighbors {
    object: Ebpf,
    table: LpmTrie<MapData, [u8; 16], Value>,
    /// What the table holds.
    known: BTreeMap<Ipv6Net, NeighborAnswer>,
}

impl Neighbors {
    /// Loads the program, with an empty table.
    ///
    /// # Errors
    /// The kernel refuses, mostly for want of rights.
    pub fn load() -> Result<Self, LoadError> {
        let mut loader = EbpfLoader::new();
        // As for the fast path.
        loader.btf(None);
        let mut object = loader.load(OBJECT).map_err(|error| LoadError::Object(Box::new(error)))?;
        program(&mut object)
            .ok_or(LoadError::Incomplete { part: PROGRAM })?
            .load()
            .map_err(|error| LoadError::Program(Box::new(error)))?;
        let map = object.take_map(BLOCKS).ok_or(LoadError::Incomplete { part: BLOCKS })?;
        let table = LpmTrie::try_from(map).map_err(|_other_type| LoadError::Incomplete { part: BLOCKS })?;
        Ok(Self { object, table, known: BTreeMap::new() })
    }

    /// Makes these the blocks that are answered for. What stays is answered for throughout.
    ///
    /// # Errors
    /// There are too many, or the kernel refuses; the next call goes on from there.
    pub fn set(&mut self, wanted: &BTreeMap<Ipv6Net, NeighborAnswer>) -> Result<(), MapError> {
        for (block, answer) in wanted {
            if self.known.get(block) == Some(answer) {
                continue;
            }
            let value: Value = bytemuck::cast(*answer);
            self.table.insert(&key(block), value, 0).map_err(|error| failed("write", error))?;
            self.known.insert(*block, *answer);
        }
        let stale: Vec<_> = self.known.keys().filter(|block| !wanted.contains_key(block)).copied().collect();
        for block in stale {
            self.table.remove(&key(&block)).map_err(|error| failed("remove from", error))?;
            self.known.remove(&block);
        }
        Ok(())
    }

    /// From now on who asks by `interface`, of this network namespace, is answered. Where a program of Groundplane's is
    /// already there, this one takes its place between two packets.
    ///
    /// # Errors
    /// No such interface, or the kernel refuses.
    pub fn attach(&mut self, interface: &str) -> Result<(), AttachError> {
        attach(program(&mut self.object).expect("`load` found the program"), interface)
    }

    /// Nobody who asks by `interface`, of this network namespace, is answered any more; nothing to do where nobody is.
    ///
    /// # Errors
    /// No such interface, or the kernel refuses.
    pub fn detach(interface: &str) -> Result<(), AttachError> {
        detach(interface)
    }
}

fn program(object: &mut Ebpf) -> Option<&mut SchedClassifier> {
    object.program_mut(PROGRAM)?.try_into().ok()
}

fn key(block: &Ipv6Net) -> Key<[u8; 16]> {
    Key::new(block.prefix_len().into(), block.network().octets())
}

fn failed(operation: &'static str, error: AyaError) -> MapError {
    let source = match error {
        AyaError::SyscallError(error) => error.io_error,
        other => io::Error::other(other),
    };
    match source.raw_os_error() {
        Some(libc::ENOSPC | libc::ENOMEM) => MapError::Full { map: BLOCKS },
        _ => MapError::Call { map: BLOCKS, operation, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_linux::{Links, NetNs};
    use std::process::Command;
    use std::time::{Duration, Instant};

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

    fn answer(is_answered: u8) -> NeighborAnswer {
        let source = "fe80::77".parse::<std::net::Ipv6Addr>().unwrap().octets();
        NeighborAnswer { mac: MAC, is_answered, reserved: 0, source }
    }

    fn block(text: &str, is_answered: u8) -> (Ipv6Net, NeighborAnswer) {
        (text.parse().unwrap(), answer(is_answered))
    }

    fn ip(arguments: &str) -> String {
        let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits for the kernel to make up its mind.
    fn eventually(arguments: &str, decided: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let shown = ip(arguments);
            if decided(&shown) || started.elapsed() > Duration::from_secs(20) {
                return shown;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What this kernel's own neighbour discovery finds out about an address of the link `asker`.
    fn resolved(address: &str) -> bool {
        ip(&format!("-6 neigh flush to {address} dev asker"));
        let socket = std::net::UdpSocket::bind("[::]:0").unwrap();
        socket.send_to(b"x", (address, 9)).unwrap();
        let decided = |shown: &str| shown.contains("REACHABLE") || shown.contains("FAILED");
        let shown = eventually(&format!("-6 neigh show to {address} dev asker"), decided);
        assert!(decided(&shown), "{address}: {shown}");
        assert!(shown.contains("FAILED") || shown.contains("lladdr 02:00:00:00:00:77 router"), "{shown}");
        shown.contains("REACHABLE")
    }

    /// Does duplicate address detection find that the address is somebody's?
    fn is_duplicate(address: &str) -> bool {
        ip(&format!("-6 addr add {address}/128 dev asker"));
        let decided = |shown: &str| shown.contains("dadfailed") || !shown.contains("tentative");
        let shown = eventually(&format!("-6 addr show dev asker to {address}"), decided);
        assert!(shown.contains(address), "{shown}");
        ip(&format!("-6 addr del {address}/128 dev asker"));
        shown.contains("dadfailed")
    }

    #[test]
    fn the_kernel_finds_the_blocks_addresses_and_no_others() {
        // SAFETY: geteuid has no arguments and can't fail.
        if unsafe { libc::geteuid() } != 0 {
            println!("skipped: needs root");
            return;
        }
        let netns = NetNs::new_unpinned().unwrap();
        let links = Links::open(&netns).unwrap();
        links.ensure_local_veth("asker", "card", 1500).unwrap();
        netns
            .run(|| {
                ip("link set asker up");
                // The card's own stack has nothing to say.
                std::fs::write("/proc/sys/net/ipv6/conf/card/disable_ipv6", "1").unwrap();
                ip("link set card up");
                ip("-6 addr add 2001:db8::9/64 dev asker nodad");
                ip("-6 route add 3fff::/20 dev asker");
                let mut neighbors = Neighbors::load().unwrap();
                let own = block("3fff:1::9/128", 0);
                neighbors.set(&BTreeMap::from([block("3fff:1::/56", 1), block("3fff:2::/56", 1), own])).unwrap();
                neighbors.attach("card").unwrap();
                assert!(resolved("3fff:1::5") && resolved("3fff:1:0:ff::5") && resolved("3fff:2::5"));
                assert!(!resolved("3fff:1::9"), "an exception");
                assert!(!resolved("3fff:1:0:100::5"), "behind the block");
                assert!(is_duplicate("3fff:1::7") && !is_duplicate("3fff:1::9"));
                neighbors.set(&BTreeMap::from([block("3fff:2::/56", 1)])).unwrap();
                assert!(!resolved("3fff:1::5") && resolved("3fff:2::5"));
                // The next process takes over; what the last one has said holds until then.
                drop(neighbors);
                assert!(resolved("3fff:2::5"));
                let mut next = Neighbors::load().unwrap();
                next.set(&BTreeMap::from([block("3fff:1::/56", 1)])).unwrap();
                next.attach("card").unwrap();
                assert!(resolved("3fff:1::5") && !resolved("3fff:2::5"));
                Neighbors::detach("card").unwrap();
                Neighbors::detach("card").unwrap();
                assert!(!resolved("3fff:1::5"));
            })
            .unwrap();
    }
}
