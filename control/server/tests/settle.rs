//! NAT gateways on their way from one state to the next: by the host's word, and by that alone.

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
