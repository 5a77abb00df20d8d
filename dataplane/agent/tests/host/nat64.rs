//! NAT64, whose packets all go through the slow path: how many a sender gets through, and what that costs its neighbours.

use crate::place::PATIENCE;
use crate::scenarios::site::Site;
use gp_trace::Ingress;
use gp_wire::build;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WORLD: &str = "
    vpc a 10.0.0.0/16,2001:db8:a::/56; igw g a
    subnet pub a 10.0.0.0/24; subnet six a 2001:db8:a:1::/64
    sg any a in all from 0.0.0.0/0 in all from ::/0
    nat n pub 10.0.0.9 eip 198.51.100.9
    rtb pubrt a for pub route 0.0.0.0/0 via g
    rtb sixrt a for six route 64:ff9b::/96 via nat n
    eni f six 2001:db8:a:1::10 sg any; eni c six 2001:db8:a:1::20 sg any
";
const FLOOD: Duration = Duration::from_secs(2);
const PACKETS: u32 = 200;
/// The budget is counted by the kernel's coarse clock, which goes in ticks (CONFIG_HZ is 100 or more).
const TICK: Duration = Duration::from_millis(10);

/// What the flood can have is its budget of upcalls; the neighbour loses nothing meanwhile.
pub fn a_flood_through_nat64_is_bounded_and_leaves_its_neighbours_alone() {
    let site = Site::new(WORLD);
    site.settle();
    let frame = |text: &str| build::emit(&site.place.scenario.packet(text).unwrap().packet);
    let wire = |name: &str| site.wire(Ingress::Eni(site.place.scenario.eni(name))).unwrap().0;
    let (flood, over) = (frame("f/6 > 64:ff9b::203.0.113.9 udp 1:2 len 1000"), AtomicBool::new(false));
    let (mut of_neighbour, mut of_flood) = (0_u32, 0_u32);
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flooder = wire("f");
            while !over.load(Ordering::Relaxed) {
                // A full queue is the flooder's own affair.
                let _ = flooder.send(&flood);
            }
        });
        let mut count = |of_neighbour: &mut u32| {
            for (_, received) in site.wait(|| false) {
                let is_flood = received.frame.len() > 500;
                of_flood += u32::from(is_flood);
                *of_neighbour += u32::from(!is_flood);
            }
        };
        for number in 1..=PACKETS {
            wire("c").send(&frame(&format!("c/6 > 64:ff9b::203.0.113.9 udp {}:53", 2000 + number))).unwrap();
            let sent = Instant::now();
            while of_neighbour < number && sent.elapsed() < PATIENCE {
                count(&mut of_neighbour);
            }
        }
        while started.elapsed() < FLOOD {
            count(&mut of_neighbour);
        }
        over.store(true, Ordering::Relaxed);
    });
    let (secs, budget) = ((started.elapsed() + TICK).as_secs_f64(), gp_slowpath::UPCALL_BUDGET);
    println!("{:.0} packets a second of a flood through NAT64 came through", f64::from(of_flood) / secs);
    assert_eq!(of_neighbour, PACKETS, "a neighbour's packets were lost");
    assert!(f64::from(of_flood) <= f64::from(budget.burst) + secs * f64::from(budget.per_second), "{of_flood}");
    assert!(site.place.agent().drops()["upcall-budget"] > 0, "the flood met its budget");
}
