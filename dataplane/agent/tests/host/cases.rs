//! What an agent must do, case by case.

use crate::place::{Place, echoes};
use gp_compile::InstanceOutcome;
use gp_linux::{NetNs, list_guest_addresses};
use gp_model::InstanceState;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const VPC: &str = "
    vpc a 10.0.0.0/16; subnet a1 a 10.0.1.0/24; subnet a2 a 10.0.2.0/24
    sg web a in tcp 80 from 10.0.0.0/8 in icmp * from 10.0.0.0/8; sg client a
    eni c a1 10.0.1.20 sg client pending; eni w a2 10.0.2.10 sg web pending
";

pub fn equal_vpcs_talk_inside_and_never_across() {
    let vpc = |n: &str| {
        format!(
            "vpc {n} 10.0.0.0/16; subnet {n}1 {n} 10.0.1.0/24; sg {n}g {n} in tcp 80 from 10.0.0.0/8 in icmp * from 10.0.0.0/8
             eni c{n} {n}1 10.0.1.20 sg {n}g pending; eni w{n} {n}1 10.0.1.10 sg {n}g pending
             eni x{n} {n}1 10.0.1.3{} sg {n}g pending\n",
            if n == "a" { 1 } else { 2 },
        )
    };
    let place = Place::new(&(vpc("a") + &vpc("b")));
    for (client, server) in [("ca", "wa"), ("cb", "wb")] {
        place.serve(server, 80);
        place.serve(server, 81);
        assert_eq!(place.who_answers(client, "10.0.1.10:80").as_deref(), Some(server));
        assert_eq!(place.who_answers(client, "10.0.1.10:81"), None, "no rule for port 81");
        assert!(place.pings(client, "10.0.1.10"));
    }
    assert!(place.pings("ca", "10.0.1.31"));
    assert!(!place.pings("ca", "10.0.1.32"), "this address is used in the other VPC only");
    let drops = place.agent().status();
    assert!(drops["drops"]["security-group-ingress"].as_u64() > Some(0), "{drops}");
    let names_group = |flow: &serde_json::Value| flow["resource"]["kind"] == "security-group";
    assert!(drops["dropped_flows"].as_array().is_some_and(|flows| flows.iter().any(names_group)), "{drops}");
}

pub fn a_change_is_obeyed_once_it_is_applied() {
    let mut place = Place::new(VPC);
    place.serve("w", 80);
    place.serve("w", 81);
    let (kept, _) = place.connect("c", "10.0.2.10:80").unwrap();
    for _ in 0..5 {
        assert_eq!(place.who_answers("c", "10.0.2.10:81"), None);
        place.change("sg web a in tcp 81 from 10.0.0.0/8");
        assert!(place.who_answers("c", "10.0.2.10:81").is_some(), "port 81 is open when the change is applied");
        assert_eq!(place.who_answers("c", "10.0.2.10:80"), None, "port 80 is closed");
        assert!(echoes(&kept), "what is tracked goes on");
        place.change("sg web a in tcp 80 from 10.0.0.0/8");
    }
    place.change("acl shut a; subnet a2 a 10.0.2.0/24 acl shut");
    assert!(!echoes(&kept), "a network ACL stops what is tracked, too");
    let why = place.agent().why("c", "w", "tcp/80").unwrap();
    assert_eq!(why["reachable"], false, "{why}");
}

pub fn both_families_reach_the_neighbour_and_the_router() {
    let place = Place::new(
        "vpc a 10.0.0.0/16,2001:db8::/48
         subnet a1 a 10.0.1.0/24,2001:db8:0:1::/64; subnet a2 a 10.0.2.0/24,2001:db8:0:2::/64
         sg g a in icmp * from 10.0.0.0/8 in icmp6 * from 2001:db8::/48 in icmp6 * from fe80::/10
         eni c a1 10.0.1.20,2001:db8:0:1::20 sg g pending; eni n a1 10.0.1.30,2001:db8:0:1::30 sg g pending
         eni w a2 10.0.2.10,2001:db8:0:2::10 sg g pending",
    );
    for to in ["10.0.1.30", "10.0.2.10", "2001:db8:0:1::30", "2001:db8:0:2::10"] {
        assert!(place.pings("c", to), "{to}");
    }
    assert!(!place.pings("c", "10.0.1.99"));
    assert!(!place.pings("c", "2001:db8:0:1::99"));
}

/// A DHCP exchange by hand: the guest is configured already, so this shows what a client would be told.
pub fn a_guest_gets_its_address_by_dhcp() {
    let place = Place::new(VPC);
    let mac = place.scenario.world.eni(place.scenario.eni("c")).unwrap().mac;
    let mut discover = vec![0; 236];
    discover[..3].copy_from_slice(&[1, 1, 6]);
    discover[28..34].copy_from_slice(&mac.0);
    discover.extend([99, 130, 83, 99, 53, 1, 1, 255]);
    let netns = place.netns("c");
    let answer = netns.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:68").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        socket.send_to(&discover, "255.255.255.255:67").unwrap();
        let mut answer = [0; 1500];
        let (length, from) = socket.recv_from(&mut answer).expect("an offer");
        assert_eq!(from.to_string(), "10.0.1.1:67");
        answer[..length].to_vec()
    });
    let answer = answer.unwrap();
    assert_eq!(answer[16..20], [10, 0, 1, 20], "the address that the API shows");
    assert!(answer.windows(3).any(|option| option == [53, 1, 2]), "an offer");
}

/// Frames that the sender leaves whole for segmentation pass the fast path, and first packets of any size the slow one.
pub fn large_transfers_stay_whole() {
    const BYTES: usize = 64 << 20;
    let place = Place::new(VPC);
    let listener = place.netns("w").run(|| std::net::TcpListener::bind("0.0.0.0:80").unwrap()).unwrap();
    let sink = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap()
    });
    let to = "10.0.2.10:80".parse().unwrap();
    let netns = place.netns("c");
    let mut stream =
        netns.run(|| std::net::TcpStream::connect_timeout(&to, std::time::Duration::from_secs(5)).unwrap()).unwrap();
    let started = Instant::now();
    let block = vec![7; 1 << 20];
    for _ in 0..BYTES >> 20 {
        std::io::Write::write_all(&mut stream, &block).unwrap();
    }
    drop(stream);
    assert_eq!(sink.join().unwrap(), BYTES as u64);
    let secs = started.elapsed().as_secs_f64();
    println!("64 MiB in {secs:.3} s: {:.1} Gbit/s", BYTES as f64 * 8e-9 / secs);

    let payload = vec![1; 8900];
    let server = place.netns("w").run(|| std::net::UdpSocket::bind("0.0.0.0:80").unwrap()).unwrap();
    server.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    let client = netns.run(|| std::net::UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    let mut place = place;
    place.change("sg web a in udp 80 from 10.0.0.0/8");
    client.send_to(&payload, "10.0.2.10:80").unwrap();
    let mut buffer = vec![0; 65_536];
    assert_eq!(server.recv(&mut buffer).unwrap(), payload.len(), "a jumbo frame as a first packet");
    client.send_to(&vec![1; 30_000], "10.0.2.10:80").unwrap();
    assert_eq!(server.recv(&mut buffer).unwrap(), 30_000, "fragments follow their first");
}

pub fn a_change_of_many_flows_is_quick() {
    const FLOWS: u16 = 4000;
    let mut place = Place::new(VPC);
    let client = place.netns("c").run(|| std::net::UdpSocket::bind("0.0.0.0:5000").unwrap()).unwrap();
    place.change("sg web a in udp * from 10.0.0.0/8");
    for port in 1..=FLOWS {
        client.send_to(b"x", ("10.0.2.10", 10_000 + port)).unwrap();
        // Within the budget of new flows; on a busy machine upcalls may wait for longer than that takes.
        if port % 500 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            place.wait_flows(u64::from(port) * 2);
        }
    }
    let cached = place.flows();
    let started = Instant::now();
    place.change("sg web a");
    println!("a change that {cached} entries rest on is applied in {} ms", started.elapsed().as_millis());
}

pub fn a_restart_cuts_no_connection() {
    let mut place = Place::new(VPC);
    place.serve("w", 80);
    let (stream, _) = place.connect("c", "10.0.2.10:80").unwrap();
    assert!(echoes(&stream));
    let before = place.running("w").unwrap().process.pid;
    for _ in 0..3 {
        place.kill_agent();
        assert!(echoes(&stream), "established flows need no agent");
        place.start_agent();
        place.publish();
        assert!(echoes(&stream));
    }
    assert_eq!(place.running("w").unwrap().process.pid, before, "the instance was taken over, not started again");
    place.change("sg web a");
    assert!(echoes(&stream), "the connection is known to the new agent");
    assert_eq!(place.who_answers("c", "10.0.2.10:80"), None);
}

/// An instance sends as many new flows as it can; another one opens connections meanwhile.
pub fn a_flood_does_not_stop_the_neighbours() {
    const CONNECTIONS: usize = 200;
    let place = Place::new(&(VPC.to_owned() + "eni f a1 10.0.1.66 sg client pending"));
    place.serve("w", 80);
    let socket = place.netns("f").run(|| std::net::UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sent = 0_u32;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                // New addresses, too, so that no flow is seen twice; none on the link, where ARP would hold it back.
                let to = std::net::Ipv4Addr::new(10, 0, 3 + (sent / 256 % 200) as u8, sent as u8);
                let _ = socket.send_to(b"x", (to, 1024 + (sent % 60_000) as u16));
                sent += 1;
            }
            println!("the flood had {sent} packets");
        });
        for _ in 0..CONNECTIONS {
            let started = Instant::now();
            assert!(place.connect("c", "10.0.2.10:80").is_some(), "a neighbour's connection failed");
            times.push(started.elapsed());
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    times.sort();
    println!(
        "a neighbour's connections took {:?} (median), {:?} (longest)",
        times[CONNECTIONS / 2],
        times[CONNECTIONS - 1]
    );
    let status = place.agent().status();
    assert!(status["drops"]["upcall-budget"].as_u64() > Some(0), "the flood met its budget: {status}");
}

fn base64(text: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

pub fn user_data_finds_its_network() {
    let mut place = Place::prepare(VPC);
    let script = b"#!/bin/sh\nip -o -4 addr show eth0\nip route\nping -n -c 1 -W 2 10.0.2.10\nhostname\n";
    place.edit_instance("c", |instance| instance.user_data = Some(base64(script)));
    place.start();
    place.wait_console("c", "inet 10.0.1.20/24");
    place.wait_console("c", "default via 10.0.1.1 dev eth0");
    place.wait_console("c", "ip-10-0-1-20.eu-central-1.compute.internal");
    place.change_instance("c", |instance| instance.boot = 2);
    place.wait_outcome("c", 2, &InstanceOutcome::Running);
    let console = place.agent().console(&place.scenario.instance("c").to_string()).unwrap();
    let runs = String::from_utf8_lossy(&console).matches("inet 10.0.1.20/24").count();
    assert_eq!(runs, 1, "user data runs at the first boot only");
}

pub fn a_boot_that_fails_is_reported_and_leaves_nothing() {
    let mut place = Place::prepare(VPC);
    place.edit_instance("c", |instance| instance.user_data = Some(base64(&vec![b'#'; 2 << 20])));
    let reason = place.start_and_fail("c");
    assert!(reason.contains("user data"), "{reason}");
    place.wait_outcome("w", 1, &InstanceOutcome::Running);
    let mut links = place.host_links();
    links.sort();
    assert_eq!(links.len(), 3, "lo, the TAP and the other instance's link: {links:?}");
    place.change_instance("c", |instance| (instance.user_data, instance.boot) = (None, 2));
    place.wait_outcome("c", 2, &InstanceOutcome::Running);
    assert!(place.pings("c", "10.0.2.10"));
}

pub fn what_failed_to_boot_and_is_terminated_leaves_no_disk() {
    let mut place = Place::prepare(VPC);
    place.edit_instance("c", |instance| instance.user_data = Some(base64(&vec![b'#'; 2 << 20])));
    place.start_and_fail("c");
    assert!(place.has_files("c"), "its disk has been made");
    place.change_instance("c", |instance| instance.state = InstanceState::Terminated);
    let deadline = Instant::now() + Duration::from_secs(5);
    while place.has_files("c") {
        assert!(Instant::now() < deadline, "its files stay");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `argv[1]` of an agent in a process of its own.
pub const AGENT_SUBCOMMAND: &str = "agent-until-killed";

/// That process: says when the instances run, and waits for its end.
pub fn run_agent_until_killed() -> ! {
    let root = std::env::args().nth(2).expect("the place's directory");
    let mut place = Place::at(root.as_ref(), &killed_name(&root), VPC);
    place.start();
    println!("ready");
    loop {
        std::thread::park();
    }
}

/// A name that both processes make from the directory.
fn killed_name(root: &str) -> String {
    format!("test-killed-{}", root.trim_start_matches(|c: char| c != '.').trim_start_matches('.'))
}

pub fn instances_outlive_a_killed_agent() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let mut place = Place::at(dir.path(), &killed_name(root), VPC);
    let mut stream = None;
    let mut pids = Vec::new();
    for round in 0..3 {
        let mut agent = std::process::Command::new("/proc/self/exe")
            .args([AGENT_SUBCOMMAND, root])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = agent.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
        assert_eq!(line, "ready\n");
        if round == 0 {
            place.serve("w", 80);
            stream = place.connect("c", "10.0.2.10:80").map(|(stream, _)| stream);
        }
        pids.push(["c", "w"].map(|name| place.running(name).unwrap().process.pid));
        agent.kill().unwrap();
        agent.wait().unwrap();
        assert!(echoes(stream.as_ref().unwrap()), "round {round}");
    }
    assert!(pids.iter().all(|of_round| *of_round == pids[0]), "instances were taken over: {pids:?}");
    place.start();
    place.change("sg web a");
    assert!(echoes(stream.as_ref().unwrap()), "the connection is known to the last agent, too");
    assert_eq!(place.who_answers("c", "10.0.2.10:80"), None);
}

pub fn addresses_and_interfaces_come_and_go_live() {
    let mut place = Place::new(VPC);
    place.serve("w", 80);
    place.change("eni w a2 10.0.2.10,10.0.2.11 sg web pending");
    assert!(place.who_answers("c", "10.0.2.11:80").is_some(), "a secondary address answers");
    place.change("eni w a2 10.0.2.10 sg web pending");
    let left = list_guest_addresses(&place.netns("w"), "eth0").unwrap();
    assert!(!left.iter().any(|a| a.address.to_string() == "10.0.2.11"), "{left:?}");

    // A second interface: an ENI of its own, moved from one instance to the other.
    for (from, to) in [("c", "w"), ("w", "c"), ("c", "w")] {
        attach_second(&mut place, to);
        let names = interfaces(&place.netns(to));
        assert!(names.contains("eth1"), "{to}: {names:?}");
        assert!(!interfaces(&place.netns(from)).contains("eth1"), "{from} has lost it");
    }
    place.change("eni second a1 10.0.1.99 sg web unattached");
    assert!(!interfaces(&place.netns("w")).contains("eth1"));
}

/// Attaches the ENI `second` to an instance as eth1.
fn attach_second(place: &mut Place, to: &str) {
    place.scenario.apply("eni second a1 10.0.1.99 sg web unattached").unwrap();
    let world = &mut place.scenario.world;
    let mut eni = (**world.eni(gp_model::EniId::from_bits(0)).unwrap_or_else(|| {
        let mut enis = world.tables().enis.values();
        enis.find(|eni| eni.description == "second").unwrap()
    }))
    .clone();
    let instance = place.scenario.instance(to);
    let primary = place.scenario.world.enis_of_instance(instance)[0].attachment.clone().unwrap();
    let id = gp_model::EniAttachmentId::from_bits(primary.id.bits() ^ 1);
    eni.attachment = Some(gp_model::EniAttachment { id, device_index: 1, ..primary });
    place.scenario.world.apply(gp_model::Change::Put(eni.into()));
    place.publish();
}

fn interfaces(netns: &NetNs) -> BTreeSet<String> {
    let links = gp_linux::Links::open(netns).unwrap().list_links().unwrap();
    links.into_iter().map(|link| link.name).collect()
}

pub fn instances_reboot_stop_and_terminate() {
    let mut place = Place::new(VPC);
    let first = place.running("w").unwrap();
    place.change_instance("w", |instance| instance.boot += 1);
    place.wait_outcome("w", 2, &InstanceOutcome::Running);
    let second = place.running("w").unwrap();
    assert_ne!(first.process.pid, second.process.pid);
    assert!(!first.is_running());
    assert!(place.pings("c", "10.0.2.10"), "the interface came back with the reboot");

    let disk = place.data_dir().join("instances").join(place.scenario.instance("w").to_string()).join("disk");
    place.change_instance("w", |instance| instance.state = InstanceState::Stopping);
    place.wait_outcome("w", 2, &InstanceOutcome::Stopped);
    place.change_instance("w", |instance| instance.state = InstanceState::Stopped);
    assert!(!second.is_running());
    assert!(disk.exists(), "a stop keeps the disk");
    assert!(!place.pings("c", "10.0.2.10"));

    place.change_instance("w", |instance| (instance.state, instance.boot) = (InstanceState::Pending, 3));
    place.wait_outcome("w", 3, &InstanceOutcome::Running);
    assert!(place.pings("c", "10.0.2.10"));

    place.change_instance("w", |instance| instance.state = InstanceState::ShuttingDown);
    place.wait_outcome("w", 3, &InstanceOutcome::Terminated);
    assert!(!disk.exists(), "termination removes the disk");
    assert!(place.running("w").is_none());
    assert!(place.outcome("c", 1).is_some());
}

pub fn an_instance_that_ends_by_itself_is_reported() {
    let mut place = Place::new(VPC);
    let running = place.running("w").unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.process.pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    place.wait_outcome("w", 1, &InstanceOutcome::Stopped);
}

/// Twenty VPCs with one and the same block, two instances each.
pub fn forty_instances_are_up_in_seconds() {
    let mut text = String::new();
    for n in 0..20 {
        text += &format!(
            "vpc v{n} 10.0.0.0/16; subnet s{n} v{n} 10.0.1.0/24; sg g{n} v{n} in all from 10.0.0.0/8
             eni c{n} s{n} 10.0.1.10 sg g{n} pending; eni w{n} s{n} 10.0.1.{} sg g{n} pending\n",
            100 + n
        );
    }
    let started = Instant::now();
    let mut place = Place::new(&text);
    println!("40 instances are up after {} ms", started.elapsed().as_millis());
    let started = Instant::now();
    for n in 0..20 {
        assert!(place.pings(&format!("c{n}"), &format!("10.0.1.{}", 100 + n)), "VPC {n}");
    }
    for n in [1, 7, 19] {
        assert!(!place.pings("c0", &format!("10.0.1.{}", 100 + n)), "this address is in VPC {n} alone");
    }
    println!("pings took {} ms", started.elapsed().as_millis());
    let started = Instant::now();
    for port in 1..=20 {
        place.change(&format!("sg g0 v0 in tcp {port} from 10.0.0.0/8"));
    }
    println!("a change is applied in {} us (mean of 20)", started.elapsed().as_micros() / 20);
    let started = Instant::now();
    place.down();
    println!("40 instances are down after {} ms", started.elapsed().as_millis());
}

pub fn down_leaves_nothing() {
    let before = traces();
    let mut place = Place::new(VPC);
    place.serve("w", 80);
    place.who_answers("c", "10.0.2.10:80").unwrap();
    assert_ne!(traces(), before, "something is there to be removed");
    place.down();
    assert_eq!(traces(), before);
    assert!(!place.config.run_dir.exists());
    place.down();
    // The agent may crash first: then the instances are still there, and nobody but `down` looks after them.
    place.start_agent();
    place.publish();
    place.wait_all_running();
    place.down();
    assert_eq!(traces(), before);
}

/// Mounts, links and network namespaces that can be seen from here, and control groups of ours.
fn traces() -> BTreeSet<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let mounts = read("/proc/self/mountinfo");
    let ours = format!("test-{}-", std::process::id());
    let mounts = mounts.lines().filter_map(|line| line.split(' ').nth(4)).filter(|at| at.starts_with("/tmp/"));
    let mut traces: BTreeSet<String> = mounts.map(|at| format!("mount {at}")).collect();
    traces.extend(interfaces(&NetNs::current().unwrap()).into_iter().map(|name| format!("link {name}")));
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    for process in processes {
        let path = process.path();
        if let Ok(groups) = std::fs::read_to_string(path.join("cgroup"))
            && groups.contains(&ours)
        {
            traces.insert(format!("process {}", path.display()));
        }
    }
    for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified"] {
        let groups = std::fs::read_dir(format!("{root}/groundplane")).into_iter().flatten().flatten();
        let names = groups.map(|group| group.file_name().to_string_lossy().into_owned());
        traces.extend(names.filter(|name| name.starts_with(&ours)).map(|name| format!("cgroup {root}/{name}")));
    }
    traces
}
