//! How long a start takes: run by hand, in release, on a quiet machine (`cargo test -p gp-sandbox --release -- --ignored --nocapture`).

use crate::common::{Instance, root_or_skip};
use gp_linux::{GuestConfig, Links, NetNs, VethSpec, configure_guest};
use std::time::{Duration, Instant};

const ROUNDS: usize = 100;

#[test]
#[ignore = "a measurement"]
fn from_start_to_the_first_line_of_user_data() {
    if !root_or_skip() {
        return;
    }
    let host = NetNs::new_unpinned().unwrap();
    let links = Links::open(&host).unwrap();
    let (mut returned, mut spoke, mut stopped, mut again) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut instance = Instance::with_user_data("echo first line");
        let host_name = format!("gp{round}");
        let before = Instant::now();
        instance.start_with(|guest| {
            links.ensure_veth(&VethSpec {
                host_name: &host_name,
                host_mac: None,
                guest_name: "eth0",
                guest_netns: guest,
                guest_mac: [2, 0, 0, 0, 0, 1],
                mtu: 9001,
                alias: "eni-0",
            })?;
            let config = GuestConfig {
                ifname: "eth0",
                mtu: 9001,
                addresses: &[],
                metric: 512,
                gateway_v4: None,
                gateway_v6: None,
                policy: None,
            };
            Ok(configure_guest(guest, &config)?)
        });
        returned.push(before.elapsed());
        while !instance.console().contains("first line\n") {
            std::thread::sleep(Duration::from_micros(50));
        }
        spoke.push(before.elapsed());
        let before = Instant::now();
        instance.stop();
        stopped.push(before.elapsed());
        instance.spec.run_user_data = false;
        let before = Instant::now();
        instance.start();
        again.push(before.elapsed());
    }
    for (name, mut times) in
        [("start returns", returned), ("first line", spoke), ("stop", stopped), ("second start", again)]
    {
        times.sort_unstable();
        println!("{name}: p50 {:?} p99 {:?}", times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
    }
}
