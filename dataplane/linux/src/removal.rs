//! Removing a link without waiting until the kernel has let go of it.
//!
//! The kernel takes a link out of sight in a millisecond or two: nobody finds it any more, its name is free, its addresses
//! and routes are gone and no packet passes. It answers some 20 ms later, when the last reader in the kernel is done with
//! it (`rcu_barrier` of `netdev_run_todo`, net/core/dev.c). So the request is made by a thread that waits for the answer,
//! and the caller waits for the kernel's notice only.
//!
//! There is nothing to collect after a process that was killed in between: the kernel works a request off to its end.

use crate::error::{Context, LinuxError};
use crate::link::{Links, is_there};
use crate::netlink::{Mode, Netlink, Notices};
use crate::netns::NetNs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtnetlink::LinkUnspec;
use rtnetlink::packet_route::RouteNetlinkMessage;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

/// Threads that are kept for the next removal.
const IDLE_MAX: usize = 4;

/// Removes links of one namespace.
#[derive(Debug)]
pub struct LinkRemover {
    netns: NetNs,
    links: Links,
    idle: Idle,
}

/// Each sender leads to a thread that waits for work. A thread ends when its sender is gone.
type Idle = Arc<Mutex<Vec<Sender<Job>>>>;

struct Job {
    netlink: Netlink,
    ifindex: u32,
    /// Where the kernel's answer goes, as an error number.
    answer: UnixStream,
    /// Leads to the thread that has the job.
    worker: Sender<Job>,
}

impl LinkRemover {
    /// # Errors
    /// The namespace can't be entered, or there is no thread to be had.
    pub fn open(netns: &NetNs) -> Result<Self, LinuxError> {
        let remover = Self { netns: netns.try_clone()?, links: Links::open(netns)?, idle: Idle::default() };
        // A new thread waits for its first time slice for milliseconds on a busy machine; one that has slept is woken at once.
        let first = remover.start_worker()?;
        remover.idle().push(first);
        Ok(remover)
    }

    /// Takes a link away, and with a veth its other end. When this returns, both are out of everybody's sight, with their
    /// addresses and routes. Says whether the link was there.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&self, name: &str) -> Result<bool, LinuxError> {
        let Some(link) = self.links.link(name)? else { return Ok(false) };
        // Both in one visit, and the ears open before a word is said.
        let (notices, netlink) =
            self.netns.run(|| Ok::<_, LinuxError>((Notices::of_links_here()?, Netlink::open_here()?)))??;
        let (answer, theirs) = UnixStream::pair().context(|| "make a pair of sockets".into())?;
        self.hand_over(netlink, link.ifindex, theirs)?;
        let is_removed = match wait(&notices, &answer, link.ifindex).context(|| format!("remove the link {name}"))? {
            Heard::Notice => true,
            Heard::Answer(result) => is_there(result.context(|| format!("remove the link {name}")))?,
        };
        // The notice of the near end comes before the far end's addresses have gone. A request waits for that.
        self.links.link(name)?;
        Ok(is_removed)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sender<Job>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, netlink: Netlink, ifindex: u32, answer: UnixStream) -> Result<(), LinuxError> {
        let idle = self.idle().pop();
        let worker = idle.map_or_else(|| self.start_worker(), Ok)?;
        let job = Job { netlink, ifindex, answer, worker: worker.clone() };
        worker.send(job).map_err(|_| LinuxError::Missing("the thread that removes links has ended".into()))
    }

    fn start_worker(&self) -> Result<Sender<Job>, LinuxError> {
        let (sender, jobs) = channel();
        let idle = Arc::downgrade(&self.idle);
        let thread = thread::Builder::new().name("gp-links".into()).spawn(move || work(&jobs, &idle));
        thread.context(|| "start a thread".into())?;
        Ok(sender)
    }
}

fn work(jobs: &Receiver<Job>, idle: &Weak<Mutex<Vec<Sender<Job>>>>) {
    while let Ok(Job { netlink, ifindex, mut answer, worker }) = jobs.recv() {
        let message = LinkUnspec::new_with_index(ifindex).build();
        let removed = netlink.request(RouteNetlinkMessage::DelLink(message), Mode::Existing, String::new);
        let number = removed.err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EPROTO));
        // Nobody may be listening any more.
        let _ = answer.write_all(&number.to_ne_bytes());
        let Some(idle) = idle.upgrade() else { return };
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(worker);
        }
    }
}

enum Heard {
    /// The link is out of sight.
    Notice,
    Answer(io::Result<()>),
}

/// Waits for the kernel's notice that the link goes, or for the request's answer.
fn wait(notices: &Notices, mut answer: &UnixStream, ifindex: u32) -> io::Result<Heard> {
    let mut is_deaf = false;
    loop {
        let mut ears =
            [PollFd::new(answer.as_fd(), PollFlags::POLLIN), PollFd::new(notices.as_fd(), PollFlags::POLLIN)];
        let open = if is_deaf { &mut ears[..1] } else { &mut ears[..] };
        match poll(open, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            other => other?,
        };
        let has_noticed = !is_deaf && ears[1].any().unwrap_or(false);
        if has_noticed {
            match notices.removed_links() {
                Ok(removed) if removed.contains(&ifindex) => return Ok(Heard::Notice),
                Ok(_) => {}
                // More notices than a socket holds: then the answer has to do.
                Err(_) => is_deaf = true,
            }
        } else {
            let mut number = [0; 4];
            answer.read_exact(&mut number)?;
            let number = i32::from_ne_bytes(number);
            return Ok(Heard::Answer(if number == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(number)) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::VethSpec;
    use crate::testing::root_or_skip;
    use crate::{GuestAddress, GuestConfig, configure_guest};

    fn spec<'a>(name: &'a str, guest_name: &'a str, guest: &'a NetNs) -> VethSpec<'a> {
        VethSpec {
            host_name: name,
            host_mac: None,
            guest_name,
            guest_netns: guest,
            guest_mac: [2, 0, 0, 0, 0, 9],
            mtu: 9001,
            alias: name,
        }
    }

    #[test]
    fn a_removed_link_is_out_of_sight_with_its_routes_and_its_name_is_free() {
        if !root_or_skip() {
            return;
        }
        let (host, guest) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        let (links, remover) = (Links::open(&host).unwrap(), LinkRemover::open(&host).unwrap());
        let address = GuestAddress { address: "10.0.1.10".parse().unwrap(), prefix_len: 24 };
        for turn in 0..20 {
            let name = format!("e{turn}");
            links.ensure_veth(&spec(&name, "eth1", &guest)).unwrap();
            let config = GuestConfig {
                ifname: "eth1",
                mtu: 9001,
                addresses: &[address],
                metric: 522,
                gateway_v4: Some("10.0.1.1".parse().unwrap()),
                gateway_v6: None,
                policy: None,
            };
            configure_guest(&guest, &config).unwrap();
            assert!(remover.remove(&name).unwrap());
            assert!(links.link(&name).unwrap().is_none());
            assert!(Links::open(&guest).unwrap().link("eth1").unwrap().is_none());
            let routes = guest.run(|| std::fs::read_to_string("/proc/thread-self/net/route").unwrap()).unwrap();
            assert!(!routes.contains("eth1"), "{routes}");
            assert!(!remover.remove(&name).unwrap());
        }
    }

    #[test]
    fn many_threads_remove_at_once_and_few_of_the_workers_stay() {
        if !root_or_skip() {
            return;
        }
        let host = NetNs::new_unpinned().unwrap();
        let (links, remover) = (Links::open(&host).unwrap(), LinkRemover::open(&host).unwrap());
        let names: Vec<_> = (0..32).map(|turn| format!("e{turn}")).collect();
        for name in &names {
            links.ensure_local_veth(name, &format!("{name}p"), 1500).unwrap();
        }
        thread::scope(|scope| {
            for chunk in names.chunks(8) {
                scope.spawn(|| chunk.iter().for_each(|name| assert!(remover.remove(name).unwrap())));
            }
        });
        let left: Vec<_> = links.list_links().unwrap().into_iter().map(|link| link.name).collect();
        assert_eq!(left, ["lo"]);
        assert!(remover.idle().len() <= IDLE_MAX);
    }

    #[test]
    fn what_the_kernel_refuses_is_an_error() {
        if !root_or_skip() {
            return;
        }
        let host = NetNs::new_unpinned().unwrap();
        let error = LinkRemover::open(&host).unwrap().remove("lo").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP), "{error}");
    }
}
