//! What a decision costs: `cargo bench -p gp-trace`. The slow path pays this once per new flow.

use gp_model::Timestamp;
use gp_trace::{Connections, NoConnections, trace};
use gp_wire::{build, parse};
use gp_worlds::{Scenario, Sent};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 200_000;

/// Mean over many rounds, in nanoseconds.
#[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn measure(name: &str, mut work: impl FnMut()) {
    (0..ROUNDS / 10).for_each(|_| work());
    let start = Instant::now();
    (0..ROUNDS).for_each(|_| work());
    println!("{name:<60} {:>6} ns", start.elapsed().as_nanos() / u128::from(ROUNDS));
}

/// A VPC with `enis` ENIs in groups of `rules` rules each.
fn world(enis: usize, rules: usize) -> Scenario {
    let mut text = "vpc a 10.0.0.0/16; subnet a1 a 10.0.0.0/20; subnet a2 a 10.0.16.0/20\n".to_owned();
    text += "sg client a\nsg web a";
    for rule in 0..rules {
        text += &format!(" in tcp {} from 10.{}.0.0/16", 10_000 + rule, rule % 250);
    }
    text += " in tcp 80 from client\n";
    for eni in 0..enis {
        let (group, subnet, third) = if eni % 2 == 0 { ("client", "a1", 0) } else { ("web", "a2", 16) };
        text += &format!("eni e{eni} {subnet} 10.0.{}.{} sg {group}\n", third + eni / 200, 10 + eni % 200);
    }
    text.parse().expect("the bench's own world")
}

/// Two ENIs; the receiver is in as many groups as AWS grants, with as many rules.
fn five_groups(rule: impl Fn(usize) -> String) -> Scenario {
    let mut text = "vpc a 10.0.0.0/16; subnet a1 a 10.0.0.0/20; subnet a2 a 10.0.16.0/20; sg client a\n".to_owned();
    for group in 0..5 {
        text += &format!("sg web{group} a");
        (0..1000).for_each(|n| text += &rule(n));
        text += "\n";
    }
    text += "sg web4 a in tcp 80 from client";
    (0..999).for_each(|n| text += &rule(n));
    text += "\neni e0 a1 10.0.0.10 sg client\neni e1 a2 10.0.16.10 sg web0,web1,web2,web3,web4\n";
    text.parse().expect("the bench's own world")
}

fn bench(name: &str, scenario: &Scenario, connections: &dyn Connections, text: &str) {
    let Sent { ingress, packet } = scenario.packet(text).expect("the bench's own packet");
    measure(name, || {
        black_box(trace(&scenario.world, connections, ingress, black_box(&packet), Timestamp(0))).expect("decidable");
    });
}

fn main() {
    let small = world(20, 4);
    let large = world(2000, 60);
    bench("across subnets, 20 ENIs, 5 rules, new", &small, &NoConnections, "e0 > e1 tcp 4000:80 syn");
    bench("across subnets, 2000 ENIs, 61 rules, new", &large, &NoConnections, "e0 > e1 tcp 4000:80 syn");
    bench("inside a subnet, 2000 ENIs, dropped by groups", &large, &NoConnections, "e0 > e2 tcp 4000:80 syn");
    bench("spoofed source", &large, &NoConnections, "e0[10.0.9.9] > e2 tcp 4000:80 syn");
    for rules in [10, 100, 1000, 10_000] {
        let name = format!("across subnets, 20 ENIs, {rules} rules, new");
        bench(&name, &world(20, rules), &NoConnections, "e0 > e1 tcp 4000:80 syn");
    }
    type Rule = fn(usize) -> String;
    let shapes: [(&str, Rule); 4] = [
        ("1000 blocks at one port", |n| format!(" in tcp 22 from 10.{}.{}.0/24", n / 250, n % 250)),
        ("1000 ports of one block", |n| format!(" in tcp {} from 10.0.0.0/16", 10_000 + n)),
        ("1000 overlapping ranges and blocks", |n| {
            format!(" in tcp {}-{} from 10.0.0.0/{}", 81 + n, 20_000 + 7 * n, 8 + n % 25)
        }),
        ("1000 rules from groups", |n| format!(" in tcp {} from g{n}", 10_000 + n)),
    ];
    for (name, rule) in shapes {
        let name = format!("5 groups of {name}, new");
        bench(&name, &five_groups(rule), &NoConnections, "e0 > e1 tcp 4000:80 syn");
    }
    let mut opened = large.clone();
    opened.send("e0 > e1 tcp 4000:80 syn").expect("decidable");
    bench("across subnets, 2000 ENIs, tracked", &opened, &opened.connections, "e0 > e1 tcp 4000:80 ack");
    let frame = build::emit(&small.packet("e0 > e1 tcp 4000:80 syn").expect("the bench's own packet").packet);
    measure("parse of a TCP segment", || {
        black_box(parse(black_box(&frame))).expect("a frame");
    });
}
