//! Random walks over public addresses, gateways and instances: after each step the world must still make sense.

use crate::instance::testing::{Net, attach_form};
use gp_compile::InstanceOutcome;
use gp_model::{Change, World};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Display;

/// What is done, and numbers to choose its parameters by.
type Step = (u8, u8, u8);

fn pick<I: Display>(ids: impl Iterator<Item = I>, n: u8) -> String {
    let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
    if ids.is_empty() { "nothing".into() } else { ids[usize::from(n) % ids.len()].clone() }
}

fn form(net: &Net, (kind, a, b): Step) -> String {
    let tables = net.lab.world.tables();
    let allocation = |n| pick(tables.addresses.keys(), n);
    let eni = |n| pick(tables.enis.keys(), n);
    let instance = |n| pick(tables.instances.keys(), n);
    let nat = |n| pick(tables.nat_gateways.keys(), n);
    let private = |n| pick(tables.enis.values().flat_map(|eni| eni.private_ipv4.clone()), n);
    let association = |n| pick(tables.addresses.values().filter_map(|x| x.association.as_ref().map(|y| y.id)), n);
    let subnet = &net.subnet;
    match kind % 24 {
        0 | 1 => "Action=AllocateAddress".to_owned(),
        2 => format!("Action=ReleaseAddress&AllocationId={}", allocation(a)),
        3 | 4 => format!("Action=AssociateAddress&AllocationId={}&InstanceId={}", allocation(a), instance(b)),
        5 => format!("Action=AssociateAddress&AllocationId={}&NetworkInterfaceId={}", allocation(a), eni(b)),
        6 => format!(
            "Action=AssociateAddress&AllocationId={}&NetworkInterfaceId={}&PrivateIpAddress={}",
            allocation(a),
            eni(b),
            private(a)
        ),
        7 | 8 => format!("Action=DisassociateAddress&AssociationId={}", association(a)),
        9 => net.launch_form("t3.micro", ""),
        10 => format!("Action=StopInstances&InstanceId.1={}", instance(a)),
        11 => format!("Action=StartInstances&InstanceId.1={}", instance(a)),
        12 => format!("Action=TerminateInstances&InstanceId.1={}", instance(a)),
        13 => format!("Action=CreateNetworkInterface&SubnetId={subnet}&SecondaryPrivateIpAddressCount={}", a % 3),
        14 => format!("Action=DeleteNetworkInterface&NetworkInterfaceId={}", eni(a)),
        15 => attach_form(&eni(a), &instance(b), 1),
        16 => format!(
            "Action=AssignPrivateIpAddresses&NetworkInterfaceId={}&PrivateIpAddress.1={}&AllowReassignment=true",
            eni(a),
            private(b)
        ),
        17 => {
            format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={}&PrivateIpAddress.1={}", eni(a), private(b))
        }
        18 => format!("Action=CreateNatGateway&SubnetId={subnet}&AllocationId={}", allocation(a)),
        19 => format!("Action=DeleteNatGateway&NatGatewayId={}", nat(a)),
        20 => {
            format!("Action=AssociateNatGatewayAddress&NatGatewayId={}&AllocationId.1={}", nat(a), allocation(b))
        }
        21 => {
            format!("Action=DisassociateNatGatewayAddress&NatGatewayId={}&AssociationId.1={}", nat(a), association(b))
        }
        22 => format!(
            "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={}&AssociatePublicIpAddress={}",
            eni(a),
            b % 2 == 0
        ),
        _ => {
            let gateway = pick(tables.internet_gateways.keys(), a);
            format!("Action=DetachInternetGateway&InternetGatewayId={gateway}&VpcId={}", net.vpc)
        }
    }
}

fn carry_out(net: &mut Net, step: Step) {
    let form = form(net, step);
    if let Err(error) = net.lab.call(&form) {
        assert!(!error.is_server_fault(), "{form}\n{error}");
    }
    // The host does what it is asked to, now and then.
    if step.2.is_multiple_of(3) {
        reports(net);
    }
}

fn reports(net: &mut Net) {
    let instances: Vec<_> = net.lab.world.tables().instances.values().cloned().collect();
    for instance in instances {
        let outcome = match instance.state.name() {
            "pending" => InstanceOutcome::Running,
            "stopping" => InstanceOutcome::Stopped,
            "shutting-down" => InstanceOutcome::Terminated,
            _ => continue,
        };
        net.report(&instance.id.to_string(), outcome);
    }
}

fn check(world: &World) {
    let tables = world.tables();
    let mut public = BTreeSet::new();
    for address in tables.addresses.values() {
        assert!(public.insert(address.public_ip), "{} twice", address.public_ip);
        let Some(association) = &address.association else { continue };
        let eni = world.eni(association.eni).expect("what it stands for is there");
        assert!(eni.holds(association.private_ip.into()), "{address:?}");
        assert_eq!(world.address_of_private(eni.id, association.private_ip).map(|a| a.id), Some(address.id));
        assert!(world.gateway_of_vpc(eni.vpc).is_some(), "the gateway is held by {address:?}");
    }
    for eni in tables.enis.values() {
        let Some(automatic) = eni.public_ipv4 else { continue };
        assert!(public.insert(automatic), "{automatic} twice");
        let primary = eni.primary_ipv4().expect("it stands for a private one");
        assert!(world.address_of_private(eni.id, primary).is_none(), "{eni:?} has two");
        assert_eq!(world.private_of_public(automatic).map(|(holder, _)| holder.id), Some(eni.id));
        let instance = eni.attachment.as_ref().and_then(|attachment| world.instance(attachment.instance));
        assert!(instance.is_some_and(|i| i.state.name() != "stopped" && i.state.name() != "terminated"), "{eni:?}");
    }
    for gateway in tables.nat_gateways.values() {
        let Some(eni) = gateway.eni.and_then(|eni| world.eni(eni)) else {
            assert!(matches!(gateway.state, gp_model::NatGatewayState::Failed | gp_model::NatGatewayState::Deleted));
            continue;
        };
        assert!(gateway.addresses.iter().map(|address| address.private_ip).eq(eni.private_ipv4.iter().copied()));
        for address in &gateway.addresses {
            let elastic = world.address_of_private(eni.id, address.private_ip).expect("a public gateway's has one");
            assert_eq!(
                (Some(elastic.id), address.association),
                (address.allocation, elastic.association.as_ref().map(|a| a.id))
            );
        }
    }
    let mut rebuilt = World::new(world.region.clone());
    tables.records().for_each(|record| rebuilt.apply(Change::Put(record)));
    assert_eq!(format!("{rebuilt:?}"), format!("{world:?}"), "the indexes follow from the tables");
}

/// Takes everything down, as a tidy user does.
fn tidy(net: &mut Net) {
    let ids = |keys: Vec<String>, form: &str| keys.into_iter().map(|id| format!("{form}={id}")).collect::<Vec<_>>();
    let tables = net.lab.world.tables();
    let live = tables.instances.values().filter(|i| i.state.name() != "terminated");
    let instances = live.map(|i| i.id.to_string()).collect();
    let nats = tables.nat_gateways.keys().map(ToString::to_string).collect();
    let mut forms = ids(instances, "Action=TerminateInstances&InstanceId.1");
    forms.extend(ids(nats, "Action=DeleteNatGateway&NatGatewayId"));
    forms.iter().for_each(|form| drop(net.lab.xml(form)));
    reports(net);
    let enis = net.lab.world.tables().enis.keys().map(ToString::to_string).collect();
    ids(enis, "Action=DeleteNetworkInterface&NetworkInterfaceId").iter().for_each(|form| drop(net.lab.xml(form)));
    let addresses = net.lab.world.tables().addresses.keys().map(ToString::to_string).collect();
    ids(addresses, "Action=ReleaseAddress&AllocationId").iter().for_each(|form| drop(net.lab.xml(form)));
}

proptest! {
    #[test]
    fn no_sequence_of_calls_gives_an_address_twice(steps in prop::collection::vec(any::<Step>(), 1..100)) {
        let mut net = Net::new();
        net.lab.settings.quotas.addresses = 12;
        // Ten addresses, so that they run out.
        net.lab.settings.public_pool.configure(net.lab.world.region.clone(), "192.0.2.0/28".parse().unwrap());
        let gateway = net.lab.get("Action=CreateInternetGateway", "internetGatewayId");
        net.lab.xml(&format!("Action=AttachInternetGateway&InternetGatewayId={gateway}&VpcId={}", net.vpc));
        let public = format!("Action=ModifySubnetAttribute&SubnetId={}&MapPublicIpOnLaunch.Value=true", net.subnet);
        net.lab.xml(&public);
        for step in steps {
            carry_out(&mut net, step);
            check(&net.lab.world);
        }
        // Reports may be outstanding.
        reports(&mut net);
        tidy(&mut net);
        check(&net.lab.world);
        let pool = net.lab.settings.public_pool.addresses(&net.lab.world.region);
        prop_assert!({ pool }.all(|address| !net.lab.world.is_public_ip_taken(address)), "everything is given back");
    }
}
