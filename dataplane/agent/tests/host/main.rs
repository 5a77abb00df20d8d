//! A host for real: sandboxes, links, the program in the kernel, and packets between instances. Needs root; skips
//! without. All of it lives in a network namespace of its own; nothing is sent to the machine's network.
//!
//! `cargo test -p gp-agent --test host [CASE]`

mod cases;
mod nat64;
mod place;
mod scenarios;
mod uplinks;

/// A named test.
type Case = (&'static str, fn());

const CASES: &[Case] = &[
    ("equal_vpcs_talk_inside_and_never_across", cases::equal_vpcs_talk_inside_and_never_across),
    ("a_change_is_obeyed_once_it_is_applied", cases::a_change_is_obeyed_once_it_is_applied),
    ("both_families_reach_the_neighbour_and_the_router", cases::both_families_reach_the_neighbour_and_the_router),
    ("a_guest_gets_its_address_by_dhcp", cases::a_guest_gets_its_address_by_dhcp),
    ("large_transfers_stay_whole", cases::large_transfers_stay_whole),
    ("a_change_of_many_flows_is_quick", cases::a_change_of_many_flows_is_quick),
    ("a_flood_does_not_stop_the_neighbours", cases::a_flood_does_not_stop_the_neighbours),
    ("user_data_finds_its_network", cases::user_data_finds_its_network),
    ("a_boot_that_fails_is_reported_and_leaves_nothing", cases::a_boot_that_fails_is_reported_and_leaves_nothing),
    (
        "what_failed_to_boot_and_is_terminated_leaves_no_disk",
        cases::what_failed_to_boot_and_is_terminated_leaves_no_disk,
    ),
    ("instances_outlive_a_killed_agent", cases::instances_outlive_a_killed_agent),
    ("a_restart_cuts_no_connection", cases::a_restart_cuts_no_connection),
    ("addresses_and_interfaces_come_and_go_live", cases::addresses_and_interfaces_come_and_go_live),
    ("instances_reboot_stop_and_terminate", cases::instances_reboot_stop_and_terminate),
    ("an_instance_that_ends_by_itself_is_reported", cases::an_instance_that_ends_by_itself_is_reported),
    ("forty_instances_are_up_in_seconds", cases::forty_instances_are_up_in_seconds),
    ("down_leaves_nothing", cases::down_leaves_nothing),
    (
        "a_region_whose_addresses_are_routed_elsewhere_is_refused",
        uplinks::a_region_whose_addresses_are_routed_elsewhere_is_refused,
    ),
    (
        "a_flood_through_nat64_is_bounded_and_leaves_its_neighbours_alone",
        nat64::a_flood_through_nat64_is_bounded_and_leaves_its_neighbours_alone,
    ),
    ("every_scenario_arrives_as_its_table_says", scenarios::every_scenario_arrives_as_its_table_says),
];

fn main() {
    if std::env::args().nth(1).as_deref() == Some(gp_sandbox::INIT_SUBCOMMAND) {
        gp_sandbox::sandbox_init_main();
    }
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    if std::env::args().nth(1).as_deref() == Some(cases::AGENT_SUBCOMMAND) {
        cases::run_agent_until_killed();
    }
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    // Before any thread is there, so that every one is in it.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("root may make a network namespace");
    let chosen = CASES.iter().filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| name.contains(wanted.as_str())));
    for (name, case) in chosen {
        let started = std::time::Instant::now();
        case();
        println!("test {name} ... ok ({} ms)", started.elapsed().as_millis());
    }
}
