//! Who may talk to whom, case by case. A line is a packet and, behind `=>`, what becomes of it; a line that
//! starts with `!` changes the world in between. Connections that a packet opens stay for the lines below it.

use gp_worlds::Scenario;

/// Runs the lines of a table against a world and reports every one that fares otherwise.
fn check(world: &str, table: &str) {
    let mut scenario: Scenario = world.parse().unwrap();
    let mut wrong = Vec::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(statement) = line.strip_prefix('!') {
            scenario.apply(statement).unwrap();
            continue;
        }
        let (packet, expected) = line.split_once("=>").unwrap();
        let path = scenario.send(packet).unwrap();
        let found = scenario.summary(&path);
        if found != expected.trim() {
            wrong.push(format!("{} => {found} (expected {})", packet.trim(), expected.trim()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Two VPCs with the same blocks; client and web server of `a` in two subnets.
const WORLD: &str = "
    vpc a 10.0.0.0/16,2001:db8:a::/48; vpc b 10.0.0.0/16,2001:db8:b::/48
    subnet a1 a 10.0.1.0/24,2001:db8:a:1::/64; subnet a2 a 10.0.2.0/24,2001:db8:a:2::/64
    subnet b1 b 10.0.1.0/24,2001:db8:b:1::/64
    sg web a in tcp 80 from 0.0.0.0/0 in tcp 443 from ::/0
    sg client a
    sg mute a in all from 0.0.0.0/0 out none
    sg inner a in all from client in icmp6 128 from ::/0
    sg bweb b in tcp 80 from 0.0.0.0/0
    eni c a1 10.0.1.20,10.0.1.21,10.0.1.32/28,2001:db8:a:1::20 sg client
    eni d a1 10.0.1.30 sg inner
    eni w a2 10.0.2.10,2001:db8:a:2::10 sg web
    eni m a2 10.0.2.11 sg mute
    eni i a2 10.0.2.12,2001:db8:a:2::12 sg inner,mute
    eni r a1 10.0.1.40 sg client unchecked
    eni idle a2 10.0.2.13 sg web unattached
    eni off a2 10.0.2.14 sg web stopped
    eni soon a2 10.0.2.15 sg web pending
    eni bc b1 10.0.1.20,2001:db8:b:1::20 sg bweb
";

#[test]
fn the_sender_is_who_it_says() {
    check(
        WORLD,
        "
        c > w tcp 4000:80 syn                           => deliver w opens c
        c[10.0.1.21] > w tcp 4000:80 syn                => deliver w opens c
        c[10.0.1.33] > w tcp 4000:80 syn                => deliver w opens c
        c[10.0.1.99] > w tcp 4000:80 syn                => source-check eni:c
        c[10.0.2.10] > w tcp 4000:80 syn                => source-check eni:c
        c > w tcp 4000:80 syn mac 02:00:00:00:00:99     => source-check eni:c
        c[127.0.0.1] > w tcp 4000:80 syn                => source-check eni:c
        r[192.168.7.7] > w tcp 4000:80 syn              => deliver w opens r
        r[127.0.0.1] > w tcp 4000:80 syn                => source-check eni:r
        r[0.0.0.0] > w tcp 4000:80 syn                  => source-check eni:r
        r > w tcp 4000:80 syn mac 02:00:00:00:00:99     => source-check eni:r
        idle > w tcp 4000:80 syn                        => eni-not-attached eni:idle
        ",
    );
}

#[test]
fn groups_allow_by_protocol_port_and_peer() {
    check(
        WORLD,
        "
        c > w tcp 4000:81 syn                           => security-group-ingress sg:web opens c
        c > w udp 4000:80                               => security-group-ingress sg:web opens c
        c/6 > w/6 tcp 4000:443 syn                      => deliver w opens c
        c/6 > w/6 tcp 4000:80 syn                       => security-group-ingress sg:web opens c
        c > d udp 1:2                                   => deliver d opens c,d
        w > d udp 1:2                                   => security-group-ingress sg:inner opens w
        w > i udp 1:2                                   => deliver i opens w
        d > c udp 9:9                                   => security-group-ingress sg:client opens d
        m > c udp 1:2                                   => security-group-egress sg:mute
        c > m proto 50                                  => deliver m opens c,m
        c > w proto 50                                  => security-group-ingress sg:web opens c
        w/6 > d/ll icmp echo id 1                       => no-such-address vpc:a opens w
        c/6 > i/6 icmp echo id 1                        => deliver i opens c,i
        ",
    );
}

/// The peer of a rule that names a group is a member by its own private addresses only.
#[test]
fn a_group_as_peer_means_its_members_addresses() {
    check(
        WORLD,
        "
        c[10.0.1.21] > d tcp 1:2 syn                    => deliver d opens c,d
        c[10.0.1.33] > d tcp 1:2 syn                    => deliver d opens c,d
        r[192.168.7.7] > d tcp 1:2 syn                  => security-group-ingress sg:inner opens r
        r[10.0.2.10] > d tcp 1:2 syn                    => security-group-ingress sg:inner opens r
        ! eni w a2 10.0.2.10 sg web,client
        w > d tcp 1:3 syn                               => deliver d opens w,d
        # Behind a router a member's address is not the member.
        r[10.0.2.10] > d tcp 1:4 syn                    => security-group-ingress sg:inner opens r
        ! eni c a1 10.0.1.20 sg web
        c > d tcp 1:9 syn                               => security-group-ingress sg:inner opens c
        ",
    );
}

#[test]
fn tracked_connections_let_answers_pass_and_outlive_their_rule() {
    check(
        WORLD,
        "
        d > c udp 5:6                                   => security-group-ingress sg:client opens d
        c > d udp 7:8                                   => deliver d opens c,d
        d > c udp 8:7                                   => deliver c
        d > c udp 8:9                                   => security-group-ingress sg:client opens d
        ! sg inner a
        c > d udp 7:8                                   => deliver d
        c > d udp 7:9                                   => security-group-ingress sg:inner opens c
        ! sg client a out none
        c > d udp 7:8                                   => deliver d
        c > d udp 1:8                                   => security-group-egress sg:client
        c > m icmp echo id 5                            => security-group-egress sg:client
        r > m icmp echo id 6                            => security-group-egress sg:client
        ",
    );
}

/// Facts: EC2 user guide, "Untracked connections".
#[test]
fn flows_that_anybody_may_have_are_not_tracked_and_end_with_their_rule() {
    check(
        WORLD,
        "
        # Both directions of the server are open to anybody; the client's ingress is not.
        c > w tcp 4000:80 syn                           => deliver w opens c
        w > c tcp 80:4000 syn+ack                       => deliver c
        ! sg web a
        c > w tcp 4000:80 ack                           => security-group-ingress sg:web
        # The server's answer is untracked, too: it opens nothing although it passes an egress rule.
        ! sg web a in tcp 80 from 0.0.0.0/0
        w > c tcp 80:4000 ack                           => deliver c
        # With less than all ports open for answers, the connection is tracked.
        ! sg web a in tcp 80 from 0.0.0.0/0 out tcp 1024-65535 to 0.0.0.0/0
        c > w tcp 4001:80 syn                           => deliver w opens c,w
        ! sg web a out none
        c > w tcp 4001:80 ack                           => deliver w
        ",
    );
}

#[test]
fn icmp_is_tracked_and_its_errors_follow_their_connection() {
    check(
        WORLD,
        "
        c > m icmp echo id 5                            => deliver m opens c,m
        m > c icmp reply id 5                           => deliver c
        m > c icmp reply id 6                           => security-group-egress sg:mute
        # The connection admits replies to its requests, not requests of the other end.
        m > c icmp echo id 5                            => security-group-egress sg:mute
        c > m udp 1:2                                   => deliver m opens c,m
        m > c icmp 3/3 about udp 1:2                    => deliver c
        m > c icmp 3/3 about udp 1:3                    => security-group-egress sg:mute
        m > c icmp 3/3                                  => security-group-egress sg:mute
        d > c icmp 3/3 about udp 1:2                    => security-group-ingress sg:client opens d
        ",
    );
}

#[test]
fn a_packet_in_the_middle_of_a_connection_needs_a_rule() {
    check(
        WORLD,
        "
        c > d tcp 1:2 ack                               => deliver d opens c,d
        d > c tcp 2:1 ack                               => deliver c
        d > c tcp 3:1 ack                               => security-group-ingress sg:client opens d
        ",
    );
}

#[test]
fn vpcs_with_the_same_blocks_never_meet() {
    check(
        WORLD,
        "
        bc > 10.0.2.10 tcp 4000:80 syn                  => no-such-address vpc:b opens bc
        c > 10.0.1.20 tcp 4000:80 syn                   => deliver c opens c
        bc > 10.0.1.30 udp 1:2                          => no-such-address vpc:b opens bc
        c/6 > 2001:db8:b:1::20 tcp 4000:80 syn          => no-route rtb:a.main opens c
        ",
    );
}

#[test]
fn receivers_must_be_there() {
    check(
        WORLD,
        "
        c > idle tcp 4000:80 syn                        => eni-not-attached eni:idle opens c
        c > off tcp 4000:80 syn                         => eni-not-attached eni:off opens c
        c > soon tcp 4000:80 syn                        => deliver soon opens c
        c > 10.0.2.99 tcp 4000:80 syn                   => no-such-address vpc:a opens c
        c > 10.0.1.99 tcp 4000:80 syn                   => no-such-address vpc:a opens c
        c > 10.0.9.9 tcp 4000:80 syn                    => no-such-address vpc:a opens c
        c > 10.0.2.1 icmp echo id 1                     => reserved-address subnet:a2 opens c
        c > 10.0.2.3 icmp echo id 1                     => reserved-address subnet:a2 opens c
        c > 10.0.2.255 udp 1:2                          => reserved-address subnet:a2 opens c
        c > 10.0.1.1 icmp echo id 1                     => reserved-address subnet:a1
        ",
    );
}

#[test]
fn lists_judge_what_crosses_a_border_in_both_directions_without_state() {
    let world = "
        vpc a 10.0.0.0/16,2001:db8:a::/48
        acl n a in 10 deny tcp 22 0.0.0.0/0 in 20 allow tcp 1-1000 10.0.1.0/24 in 30 allow icmp6 * ::/0 \
              out 10 allow tcp 1024-65535 0.0.0.0/0 out 20 allow all ::/0
        subnet a1 a 10.0.1.0/24,2001:db8:a:1::/64; subnet a2 a 10.0.2.0/24,2001:db8:a:2::/64 acl n
        sg any a in all from 0.0.0.0/0 in all from ::/0
        eni c a1 10.0.1.20,2001:db8:a:1::20 sg any; eni w a2 10.0.2.10,2001:db8:a:2::10 sg any
        eni v a2 10.0.2.11 sg any
    ";
    check(
        world,
        "
        c > w tcp 4000:80 syn                           => deliver w
        w > c tcp 80:4000 syn+ack                       => deliver c
        w > c tcp 80:1000 ack                           => network-acl-egress acl:n#32767
        c > w tcp 4000:22 syn                           => network-acl-ingress acl:n#10
        c > w tcp 4000:1001 syn                         => network-acl-ingress acl:n#32767
        c > w udp 4000:80                               => network-acl-ingress acl:n#32767
        c/6 > w/6 icmp echo id 1                        => deliver w opens c,w
        c/6 > w/6 tcp 4000:80 syn                       => network-acl-ingress acl:n#32768
        w/6 > c/6 tcp 4000:80 syn                       => deliver c
        # Inside a subnet no list is asked.
        v > w tcp 4000:22 syn                           => deliver w
        # A list acts at once on what is tracked.
        ! acl n a
        c/6 > w/6 icmp echo id 1                        => network-acl-ingress acl:n#32768
        ",
    );
}

#[test]
fn the_longest_prefix_names_the_target() {
    let world = "
        vpc a 10.0.0.0/16,10.1.0.0/16,2001:db8:a::/48; igw g a
        subnet a1 a 10.0.1.0/24,2001:db8:a:1::/64; subnet a2 a 10.1.2.0/24; subnet a3 a 10.0.3.0/24
        rtb pub a for a1 route 0.0.0.0/0 via g route ::/0 via g route 198.51.100.0/24 via gone
        sg any a in all from 0.0.0.0/0
        eni c a1 10.0.1.20,2001:db8:a:1::20 sg any; eni w a2 10.1.2.10 sg any; eni x a3 10.0.3.10 sg any
    ";
    check(
        world,
        "
        c > w udp 1:2                                   => deliver w
        c > 203.0.113.9 tcp 4000:80 syn                 => no-public-address igw:g
        c > 198.51.100.9 tcp 4000:80 syn                => blackhole igw:?
        x > 203.0.113.9 tcp 4000:80 syn                 => no-route rtb:a.main
        c/6 > 2001:db8:ffff::1 tcp 4000:80 syn          => uplink opens c
        ! igw g
        c > 203.0.113.9 tcp 4000:80 syn                 => blackhole igw:g
        ! rtb pub a
        c > 203.0.113.9 tcp 4000:80 syn                 => no-route rtb:a.main
        ! rtb a.main a route 203.0.113.0/24 via g; igw g a
        c > 203.0.113.9 tcp 4000:80 syn                 => no-public-address igw:g
        ",
    );
}

#[test]
fn the_vpc_answers_arp_and_neighbour_discovery_itself() {
    check(
        WORLD,
        "
        c arp 10.0.1.1                                  => arp
        c arp 10.0.1.30                                 => arp
        c arp 10.0.1.20                                 => neighbor-announcement
        c arp 10.0.1.99                                 => no-such-address subnet:a1
        c arp 10.0.2.10                                 => no-such-address subnet:a1
        c arp 169.254.169.254                           => arp
        c[0.0.0.0] arp 10.0.1.20                        => neighbor-announcement
        c[0.0.0.0] arp 10.0.1.30                        => arp
        c[10.0.1.30] arp 10.0.1.1                       => source-check eni:c
        c arp 10.0.1.1 mac 02:00:00:00:00:99            => source-check eni:c
        # The platform answers for ENIs that nobody runs, too.
        w arp 10.0.2.13                                 => arp
        c/ll solicits fe80:ec2::1                       => neighbor-discovery
        c/6 solicits 2001:db8:a:1::1                    => neighbor-discovery
        c/6 solicits 2001:db8:a:1::20                   => neighbor-announcement
        c/6 solicits 2001:db8:a:1::99                   => no-such-address subnet:a1
        c[::] solicits 2001:db8:a:1::20                 => neighbor-announcement
        w/ll solicits 2001:db8:a:2::12                  => neighbor-discovery
        c/ll > ff02::2 icmp 133                         => neighbor-discovery
        c/ll > ff02::1 icmp 136                         => neighbor-announcement
        c/ll > ff02::1 icmp 134                         => neighbor-announcement
        ",
    );
}

#[test]
fn local_services_are_exempt_from_groups_and_lists() {
    let world = "
        vpc a 10.0.0.0/16,2001:db8:a::/48; acl none a
        subnet a1 a 10.0.1.0/24,2001:db8:a:1::/64 acl none
        sg mute a out none; eni c a1 10.0.1.20,2001:db8:a:1::20 sg mute
    ";
    check(
        world,
        "
        c[0.0.0.0] > 255.255.255.255 udp 68:67          => dhcp
        c > 10.0.1.1 udp 68:67                          => dhcp
        c > 255.255.255.255 udp 68:67                   => dhcp
        c/ll > ff02::1:2 udp 546:547                    => dhcp
        c > 255.255.255.255 udp 68:69                   => multicast subnet:a1
        c > 10.0.0.2 udp 4000:53                        => service-unavailable subnet:a1
        c > 169.254.169.253 udp 4000:53                 => service-unavailable subnet:a1
        c > 169.254.169.254 tcp 4000:80 syn             => service-unavailable subnet:a1
        c > 169.254.169.123 udp 123:123                 => service-unavailable subnet:a1
        c/6 > fd00:ec2::254 tcp 4000:80 syn             => service-unavailable subnet:a1
        c > 169.254.7.7 tcp 4000:80 syn                 => no-route subnet:a1
        c > 10.0.1.1 udp 4000:53                        => reserved-address subnet:a1
        c > 224.0.0.251 udp 5353:5353                   => multicast subnet:a1
        c > 10.0.1.255 udp 1:2                          => multicast subnet:a1
        c/ll > ff02::fb udp 5353:5353                   => multicast subnet:a1
        c > 10.0.2.20 udp 1:2                           => security-group-egress sg:mute
        ",
    );
}

#[test]
fn link_local_addresses_reach_the_same_subnet_only() {
    check(
        WORLD,
        "
        c/ll > r/ll tcp 1:2 syn                         => security-group-ingress sg:client opens c
        w/ll > i/ll icmp echo id 1                      => deliver i opens w,i
        c/ll > w/ll tcp 1:443 syn                       => no-such-address vpc:a opens c
        c[fe80::1] > w/ll tcp 1:443 syn                 => source-check eni:c
        c/ll > 2001:db8:a:2::10 tcp 1:443 syn           => no-route opens c
        ",
    );
}

#[test]
fn a_fragment_is_judged_with_the_ports_of_the_first() {
    check(
        WORLD,
        "
        c > d udp 7:8 frag 1480                         => fragment-without-first
        c > d udp 7:8 frag 0+                           => deliver d opens c,d
        c > d udp 7:8 frag 1480                         => deliver d
        c > m proto 50 frag 1480                        => deliver m opens c,m
        ",
    );
}

#[test]
fn a_group_that_is_gone_is_nothing_to_decide_on() {
    let world = "
        vpc a 10.0.0.0/16; subnet a1 a 10.0.1.0/24
        sg any a in all from 0.0.0.0/0
        eni c a1 10.0.1.20 sg any; eni w a1 10.0.1.10 sg gone
    ";
    let scenario: Scenario = world.parse().unwrap();
    let error = scenario.trace("c > w tcp 1:2 syn").unwrap_err();
    assert!(error.to_string().contains("does not hold"), "{error}");
}

#[test]
fn nat_gateways_lower_the_segments_that_connections_announce_to_what_the_way_takes() {
    let world = "
        vpc a 10.0.0.0/16,2001:db8:a::/48; igw g a
        subnet pub a 10.0.0.0/24; subnet a1 a 10.0.1.0/24,2001:db8:a:1::/64; subnet mid a 10.0.2.0/24
        sg any a in all from 0.0.0.0/0 in all from ::/0
        nat n pub 10.0.0.9 eip 198.51.100.9; nat m mid 10.0.2.9
        rtb pubrt a for pub route 0.0.0.0/0 via g route ::/0 via g
        rtb priv a for a1 route 0.0.0.0/0 via nat n route 10.0.2.0/24 via nat m route 64:ff9b::/96 via nat n
        eni w pub 10.0.0.10 sg any; eip ew 198.51.100.10 w 10.0.0.10
        eni c a1 10.0.1.20,2001:db8:a:1::20 sg any; eni s mid 10.0.2.10 sg any
    ";
    let mut scenario: Scenario = world.parse().unwrap();
    for (packet, mss) in [
        ("c > 203.0.113.9 tcp 4000:80 syn", Some(1460)),
        ("uplink[203.0.113.9] > 198.51.100.9 tcp 80:4000 syn+ack", Some(1460)),
        ("c > 10.0.2.10 tcp 4000:80 syn", Some(8460)),
        ("s > 10.0.2.9 tcp 80:4000 syn+ack", Some(8460)),
        // Judged by its size as IPv6 and as IPv4.
        ("c/6 > 64:ff9b::cb00:7109 tcp 4001:80 syn", Some(1440)),
        ("uplink[203.0.113.9] > 198.51.100.9 tcp 80:4001 syn+ack", Some(1440)),
        // Other protocols announce none, other gateways lower none.
        ("c > 203.0.113.9 udp 4000:80", None),
        ("w > 203.0.113.9 tcp 4000:80 syn", None),
        ("c > 10.0.0.10 tcp 4000:80 syn", None),
    ] {
        let path = scenario.send(packet).unwrap();
        assert!(!matches!(path.verdict(), gp_trace::Verdict::Drop(_)), "{packet}: {:?}", path.verdict());
        assert_eq!(path.mss(), mss, "{packet}");
    }
}
