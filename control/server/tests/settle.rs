//! NAT gateways on their way from one state to the next: by the host's word, and by that alone. Their draining addresses:
//! by the clock, also after a restart, unless the host's word comes before.

mod support;

use gp_server::NOT_YET_APPLIED;
use gp_store::Memory;
use std::sync::Arc;
use support::{Host, Running, element, quick, start, start_with};

const VERSION: &str = "Version=2016-11-15";

/// Makes a private gateway in a subnet of the default VPC, and gives the answer.
fn create(running: &Running) -> String {
    let subnets = running.call(&format!("Action=DescribeSubnets&{VERSION}"));
    let subnet = element(&subnets, "subnetId");
    running.call(&format!("Action=CreateNatGateway&{VERSION}&SubnetId={subnet}&ConnectivityType=private"))
}

fn state(running: &Running, id: &str) -> String {
    let shown = running.call(&format!("Action=DescribeNatGateways&{VERSION}&NatGatewayId.1={id}"));
    element(&shown, "state").to_owned()
}

#[test]
fn a_gateway_is_answered_as_pending_and_works_when_the_answer_is_there() {
    let running = start(Host::Prompt);
    let answer = create(&running);
    assert_eq!(element(&answer, "state"), "pending");
    assert!(!answer.contains(NOT_YET_APPLIED));
    let id = element(&answer, "natGatewayId");
    assert_eq!(state(&running, id), "available");
    running.call(&format!("Action=DeleteNatGateway&{VERSION}&NatGatewayId={id}"));
    assert_eq!(state(&running, id), "deleted");
    assert_eq!(running.server.host_view().borrow().generation, running.generation(), "the host has been told");
}

#[test]
fn a_gateway_stays_pending_while_the_host_is_silent_and_is_settled_by_the_next_server() {
    let store = Arc::new(Memory::new());
    let running = start_with(Host::Silent, quick(), store.clone());
    let answer = create(&running);
    assert!(answer.contains(NOT_YET_APPLIED));
    let id = element(&answer, "natGatewayId").to_owned();
    assert_eq!(state(&running, &id), "pending");
    running.stop();
    let running = start_with(Host::Prompt, quick(), store);
    support::eventually("the gateway becomes available", || state(&running, &id) == "available");
}

/// Makes a private gateway with a second address that drains for so long, and gives its id.
fn draining(running: &Running, secs: u64) -> String {
    let subnets = running.call(&format!("Action=DescribeSubnets&{VERSION}"));
    let made = running.call(&format!(
        "Action=CreateNatGateway&{VERSION}&SubnetId={}&ConnectivityType=private&SecondaryPrivateIpAddressCount=1",
        element(&subnets, "subnetId")
    ));
    let id = element(&made, "natGatewayId").to_owned();
    let shown = running.call(&format!("Action=DescribeNatGateways&{VERSION}&NatGatewayId.1={id}"));
    let second = shown.rsplit_once("<privateIp>").and_then(|(_, rest)| rest.split_once('<')).unwrap().0;
    let told = running.call(&format!(
        "Action=UnassignPrivateNatGatewayAddress&{VERSION}&NatGatewayId={id}&PrivateIpAddress.1={second}\
         &MaxDrainDurationSeconds={secs}"
    ));
    assert_eq!(element(&told, "status"), "unassigning", "{told}");
    id
}

/// How many addresses a gateway shows that are on their way out.
fn unassigning(running: &Running, id: &str) -> usize {
    let shown = running.call(&format!("Action=DescribeNatGateways&{VERSION}&NatGatewayId.1={id}"));
    assert!(shown.contains("<status>succeeded</status>"), "{shown}");
    shown.matches("<status>unassigning</status>").count()
}

#[test]
fn a_draining_address_goes_when_its_time_is_over() {
    let running = start(Host::Prompt);
    let (long, short) = (draining(&running, 4000), draining(&running, 1));
    support::eventually("the address has gone", || unassigning(&running, &short) == 0);
    assert_eq!(unassigning(&running, &long), 1, "each has a time of its own");
}

#[test]
fn a_restart_forgets_no_deadline() {
    let store = Arc::new(Memory::new());
    let running = start_with(Host::Prompt, quick(), store.clone());
    let (long, short) = (draining(&running, 4000), draining(&running, 2));
    running.stop();
    // Nobody says that it has obeyed: the clock needs no host.
    let running = start_with(Host::Silent, quick(), store);
    support::eventually("the address has gone", || unassigning(&running, &short) == 0);
    assert_eq!(unassigning(&running, &long), 1);
}
