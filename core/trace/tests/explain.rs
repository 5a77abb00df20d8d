//! What `why` says to people: the text as a whole once, the remedies case by case.

use gp_trace::explain::{PathView, VerdictView, WhyView};
use gp_trace::{Asker, NoConnections, Probe, TraceError, Why, why};
use gp_worlds::Scenario;

const WORLD: &str = "
    vpc a 10.0.0.0/16,2001:db8:a::/48; igw g a
    acl strict a in 10 deny tcp 25 0.0.0.0/0 in 11 deny tcp 25 0.0.0.0/0 in 100 allow all 0.0.0.0/0
    subnet a1 a 10.0.1.0/24,2001:db8:a:1::/64; subnet a2 a 10.0.2.0/24,2001:db8:a:2::/64 acl strict
    sg web a in tcp 80 from 0.0.0.0/0; sg client a; sg mute a out none; sg any a in all from 0.0.0.0/0
    eni c a1 10.0.1.20,2001:db8:a:1::20 sg client,web
    eni w a1 10.0.1.10,2001:db8:a:1::10 sg web
    eni m a1 10.0.1.11,2001:db8:a:1::11 sg mute
    eni far a2 10.0.2.10 sg any
    eni off a1 10.0.1.12 sg any stopped
";

fn ask(scenario: &Scenario, from: &str, to: &str, probe: &str) -> Why {
    let to = to.parse().unwrap();
    let probe: Probe = probe.parse().unwrap();
    why(&scenario.world, &NoConnections, scenario.eni(from), to, probe, gp_model::Timestamp(0)).unwrap()
}

/// The commands offered for a drop, ids replaced by names.
fn remedies(scenario: &Scenario, from: &str, to: &str, probe: &str) -> Vec<String> {
    let why = ask(scenario, from, to, probe);
    commands(scenario, &why.reply.unwrap_or(why.forward))
}

fn commands(scenario: &Scenario, path: &gp_trace::Path) -> Vec<String> {
    match PathView::new(&scenario.world, path).verdict {
        VerdictView::Drop { remedies, .. } => {
            remedies.into_iter().map(|r| with_names(scenario, &r.command.unwrap_or(r.sentence))).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn with_names(scenario: &Scenario, text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["web", "client", "mute", "any", "a.default"] {
        text = text.replace(&scenario.security_group(name).to_string(), name);
    }
    for name in ["c", "w", "m", "far", "off"] {
        text = text.replace(&scenario.eni(name).to_string(), name);
        text = text.replace(&scenario.instance(name).to_string(), &format!("i-{name}"));
    }
    for name in ["a.acl", "strict"] {
        text = text.replace(&scenario.network_acl(name).to_string(), name);
    }
    text = text.replace(&scenario.route_table("a.main").to_string(), "a.main");
    text.replace(&scenario.internet_gateway("g").to_string(), "g").replace(&scenario.vpc("a").to_string(), "vpc-a")
}

fn world() -> Scenario {
    WORLD.parse().unwrap()
}

#[test]
fn groups_are_mended_by_address_or_by_the_other_end_s_group() {
    let world = world();
    assert_eq!(
        remedies(&world, "c", "10.0.1.10", "tcp/22"),
        [
            "aws ec2 authorize-security-group-ingress --group-id web --protocol tcp --port 22 --cidr 10.0.1.20/32",
            "aws ec2 authorize-security-group-ingress --group-id web --protocol tcp --port 22 --source-group client",
        ]
    );
    assert_eq!(
        remedies(&world, "m", "203.0.113.9", "udp/53"),
        ["aws ec2 authorize-security-group-egress --group-id mute --protocol udp --port 53 --cidr 203.0.113.9/32"]
    );
    assert_eq!(
        remedies(&world, "c", "10.0.1.10", "icmp")[0],
        "aws ec2 authorize-security-group-ingress --group-id web --protocol icmp --port 8-0 --cidr 10.0.1.20/32"
    );
    assert_eq!(
        remedies(&world, "c", "2001:db8:a:1::10", "tcp/80")[0],
        "aws ec2 authorize-security-group-ingress --group-id web --ip-permissions \
         'IpProtocol=tcp,FromPort=80,ToPort=80,Ipv6Ranges=[{CidrIpv6=2001:db8:a:1::20/128}]'"
    );
    assert_eq!(
        remedies(&world, "c", "10.0.1.10", "50")[1],
        "aws ec2 authorize-security-group-ingress --group-id web --protocol 50 --source-group client"
    );
}

#[test]
fn lists_are_mended_before_the_entry_that_denies() {
    let mut world = world();
    let call = "aws ec2 create-network-acl-entry --network-acl-id strict";
    assert_eq!(
        remedies(&world, "c", "10.0.2.10", "tcp/25"),
        [format!(
            "{call} --ingress --rule-number 9 --protocol 6 --port-range From=25,To=25 --cidr-block 10.0.1.20/32 \
             --rule-action allow"
        )]
    );
    // The question arrives, its answer does not: the list keeps no state.
    let asked = ask(&world, "c", "10.0.2.10", "tcp/80");
    assert!(!asked.is_reachable());
    assert_eq!(world.summary(&asked.forward), "deliver far opens c");
    assert_eq!(
        commands(&world, asked.reply.as_ref().unwrap()),
        [format!(
            "{call} --egress --rule-number 100 --protocol 6 --port-range From=1024,To=65535 --cidr-block 10.0.1.20/32 \
             --rule-action allow"
        )]
    );
    world.apply("acl strict a in 1 deny all 0.0.0.0/0").unwrap();
    assert!(remedies(&world, "c", "10.0.2.10", "tcp/80")[0].starts_with("No rule number before 1 is free in strict"));
}

#[test]
fn routes_gateways_and_enis_are_mended_at_their_own_place() {
    let mut world = world();
    assert_eq!(
        remedies(&world, "c", "203.0.113.9", "tcp/80"),
        ["aws ec2 create-route --route-table-id a.main --destination-cidr-block 0.0.0.0/0 --gateway-id g"]
    );
    assert_eq!(remedies(&world, "c", "10.0.1.12", "tcp/80"), ["aws ec2 start-instances --instance-ids i-off"]);
    world.apply("rtb a.main a route 0.0.0.0/0 via g; igw g").unwrap();
    assert_eq!(
        remedies(&world, "c", "203.0.113.9", "tcp/80"),
        ["aws ec2 attach-internet-gateway --internet-gateway-id g --vpc-id vpc-a"]
    );
    world.apply("delete igw g").unwrap();
    assert_eq!(
        remedies(&world, "c", "203.0.113.9", "tcp/80"),
        ["aws ec2 delete-route --route-table-id a.main --destination-cidr-block 0.0.0.0/0"]
    );
    let spoofed = world.trace("c[10.0.9.9] > w tcp 1:80 syn").unwrap();
    assert_eq!(
        commands(&world, &spoofed),
        ["aws ec2 modify-network-interface-attribute --network-interface-id c --no-source-dest-check"]
    );
}

#[test]
fn a_whole_answer_reads_well() {
    let scenario = world();
    let reachable = ask(&scenario, "c", "10.0.1.10", "tcp/80");
    assert!(reachable.is_reachable());
    let dropped = ask(&scenario, "c", "10.0.2.10", "tcp/25");
    let text = format!("{}\n{}", WhyView::new(&scenario.world, &reachable), WhyView::new(&scenario.world, &dropped));
    let expected = include_str!("explain.txt");
    assert!(text == expected, "tests/explain.txt is not what is printed now:\n{text}");
}

#[test]
fn the_json_view_names_ids_and_reasons() {
    let scenario = world();
    let asked = ask(&scenario, "c", "10.0.1.10", "tcp/22");
    let json = serde_json::to_value(WhyView::new(&scenario.world, &asked)).unwrap();
    assert_eq!(json["reachable"], false);
    assert_eq!(json["reply"], serde_json::Value::Null);
    let verdict = &json["forward"]["verdict"];
    assert_eq!(verdict["result"], "drop");
    assert_eq!(verdict["reason"], "security-group-ingress");
    assert_eq!(verdict["resource"]["kind"], "security-group");
    assert_eq!(verdict["resource"]["id"], scenario.security_group("web").to_string());
    assert_eq!(verdict["resource"]["name"], "web");
    let step = &json["forward"]["hops"][0]["steps"][0];
    assert_eq!(step["stage"], "source-check");
    assert_eq!(step["detail"], "the source address is the ENI's own");
}

#[test]
fn questions_go_out_to_the_internet_and_come_in_from_it() {
    let mut scenario = world();
    scenario.apply("rtb a.main a route 0.0.0.0/0 via g; eip e 198.51.100.7 w 10.0.1.10").unwrap();
    let out = ask(&scenario, "w", "203.0.113.9", "tcp/443");
    assert!(out.is_reachable(), "{}", WhyView::new(&scenario.world, &out));
    assert_eq!(
        scenario.full_summary(out.reply.as_ref().unwrap()),
        "deliver w as tcp 203.0.113.9:443 > 10.0.1.10:49152"
    );
    let outside = Asker::Outside("203.0.113.5".parse().unwrap());
    let asked = |to: &str, probe: &str| {
        let (to, probe) = (to.parse().unwrap(), probe.parse().unwrap());
        why(&scenario.world, &NoConnections, outside, to, probe, gp_model::Timestamp(0)).unwrap()
    };
    assert!(asked("198.51.100.7", "tcp/80").is_reachable());
    assert!(!asked("198.51.100.7", "tcp/22").is_reachable());
    assert_eq!(
        commands(&scenario, &asked("198.51.100.7", "tcp/22").forward),
        ["aws ec2 authorize-security-group-ingress --group-id web --protocol tcp --port 22 --cidr 203.0.113.5/32"]
    );
    // Without a public address the way out ends at the gateway.
    let dropped = commands(&scenario, &ask(&scenario, "c", "203.0.113.9", "tcp/80").forward);
    assert_eq!(
        dropped[0],
        "aws ec2 associate-address --allocation-id eipalloc-… --network-interface-id c --private-ip-address 10.0.1.20"
    );
    let text = WhyView::new(&scenario.world, &asked("198.51.100.7", "tcp/80")).to_string();
    assert!(
        text.contains("the destination is 10.0.1.10 from here on") && text.contains("leaves for the internet"),
        "{text}"
    );
}

#[test]
fn questions_that_can_t_be_asked_say_why() {
    let scenario = world();
    for text in ["", "tcp", "tcp/", "tcp/70000", "6", "gre", "icmp/8", "256"] {
        assert!(text.parse::<Probe>().is_err(), "{text}");
    }
    for text in ["tcp/80", "udp/53", "icmp", "50"] {
        assert_eq!(text.parse::<Probe>().unwrap().to_string(), text);
    }
    let error = why(
        &scenario.world,
        &NoConnections,
        scenario.eni("far"),
        "2001:db8::1".parse().unwrap(),
        Probe::Echo,
        gp_model::Timestamp(0),
    );
    assert!(matches!(error, Err(TraceError::NoSourceAddress(..))));
}
