//! Random walks: long sequences of calls and reports, after each of which the world must still make sense.

use super::testing::{Net, attach_form};
use crate::testing::values;
use gp_catalog::catalog;
use gp_compile::InstanceOutcome;
use gp_model::{Change, Eni, World};
use ipnet::IpNet;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// One step; the numbers choose among what there is at the time.
#[derive(Debug, Clone)]
enum Step {
    CreateEni {
        subnet: usize,
        secondary: u8,
        prefixes: u8,
    },
    DeleteEni(usize),
    Attach {
        eni: usize,
        instance: usize,
        index: u8,
    },
    Detach(usize),
    Assign {
        eni: usize,
        count: u8,
        prefixes: u8,
    },
    /// Takes over the last address of another ENI.
    Move {
        from: usize,
        to: usize,
    },
    Unassign(usize),
    Launch {
        subnet: usize,
        kind: usize,
        count: u8,
    },
    LaunchWith {
        eni: usize,
        kind: usize,
    },
    Act {
        action: usize,
        instance: usize,
    },
    Report {
        instance: usize,
        outcome: usize,
        late: bool,
    },
}

const TYPES: [&str; 4] = ["t2.micro", "t3.micro", "c5.large", "m5.xlarge"];
const ACTIONS: [&str; 4] = ["Start", "Stop", "Reboot", "Terminate"];

fn step() -> impl Strategy<Value = Step> {
    let nth = || 0..64_usize;
    prop_oneof![
        (nth(), 0..4_u8, 0..3_u8).prop_map(|(subnet, secondary, prefixes)| Step::CreateEni {
            subnet,
            secondary,
            prefixes
        }),
        nth().prop_map(Step::DeleteEni),
        (nth(), nth(), 0..5_u8).prop_map(|(eni, instance, index)| Step::Attach { eni, instance, index }),
        nth().prop_map(Step::Detach),
        (nth(), 0..4_u8, 0..2_u8).prop_map(|(eni, count, prefixes)| Step::Assign { eni, count, prefixes }),
        (nth(), nth()).prop_map(|(from, to)| Step::Move { from, to }),
        nth().prop_map(Step::Unassign),
        (nth(), nth(), 1..4_u8).prop_map(|(subnet, kind, count)| Step::Launch { subnet, kind, count }),
        (nth(), nth()).prop_map(|(eni, kind)| Step::LaunchWith { eni, kind }),
        (nth(), nth()).prop_map(|(action, instance)| Step::Act { action, instance }),
        (nth(), nth(), any::<bool>()).prop_map(|(instance, outcome, late)| Step::Report { instance, outcome, late }),
    ]
}

fn pick<T: Clone>(items: &[T], n: usize) -> Option<T> {
    (!items.is_empty()).then(|| items[n % items.len()].clone())
}

fn enis(net: &Net) -> Vec<Arc<Eni>> {
    net.lab.world.tables().enis.values().cloned().collect()
}

fn instances(net: &Net) -> Vec<String> {
    net.lab.world.tables().instances.keys().map(ToString::to_string).collect()
}

/// The request of a step, if there is anything for it to be about.
fn form(net: &Net, subnets: &[String], step: &Step) -> Option<String> {
    let eni = |n: usize| pick(&enis(net), n);
    let run = |kind: usize, count: u8| {
        let (image, kind) = (&net.image, TYPES[kind % TYPES.len()]);
        format!("Action=RunInstances&MinCount=1&MaxCount={count}&ImageId={image}&InstanceType={kind}")
    };
    Some(match *step {
        Step::CreateEni { subnet, secondary, prefixes } => format!(
            "Action=CreateNetworkInterface&SubnetId={}&SecondaryPrivateIpAddressCount={secondary}&Ipv4PrefixCount={prefixes}",
            pick(subnets, subnet)?
        ),
        Step::DeleteEni(n) => format!("Action=DeleteNetworkInterface&NetworkInterfaceId={}", eni(n)?.id),
        Step::Attach { eni: n, instance, index } => {
            attach_form(&eni(n)?.id.to_string(), &pick(&instances(net), instance)?, index.into())
        }
        Step::Detach(n) => {
            let attachments: Vec<_> = enis(net).iter().filter_map(|eni| Some(eni.attachment.as_ref()?.id)).collect();
            format!("Action=DetachNetworkInterface&AttachmentId={}", pick(&attachments, n)?)
        }
        Step::Assign { eni: n, count, prefixes } => format!(
            "Action=AssignPrivateIpAddresses&NetworkInterfaceId={}&SecondaryPrivateIpAddressCount={count}\
             &Ipv4PrefixCount={prefixes}",
            eni(n)?.id
        ),
        Step::Move { from, to } => format!(
            "Action=AssignPrivateIpAddresses&NetworkInterfaceId={}&PrivateIpAddress.1={}&AllowReassignment=true",
            eni(to)?.id,
            eni(from)?.private_ipv4.last()?
        ),
        Step::Unassign(n) => {
            let eni = eni(n)?;
            format!(
                "Action=UnassignPrivateIpAddresses&NetworkInterfaceId={}&PrivateIpAddress.1={}",
                eni.id,
                eni.private_ipv4.last()?
            )
        }
        Step::Launch { subnet, kind, count } => format!("{}&SubnetId={}", run(kind, count), pick(subnets, subnet)?),
        Step::LaunchWith { eni: n, kind } => format!(
            "{}&NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.NetworkInterfaceId={}",
            run(kind, 1),
            eni(n)?.id
        ),
        Step::Act { action, instance } => {
            format!(
                "Action={}Instances&InstanceId.1={}",
                ACTIONS[action % ACTIONS.len()],
                pick(&instances(net), instance)?
            )
        }
        Step::Report { .. } => return None,
    })
}

fn carry_out(net: &mut Net, subnets: &[String], step: &Step) {
    if let Step::Report { instance, outcome, late } = *step {
        let Some(id) = pick(&instances(net), instance) else { return };
        let failed = InstanceOutcome::Failed { reason: "chance".to_owned() };
        let outcomes = [InstanceOutcome::Running, InstanceOutcome::Stopped, InstanceOutcome::Terminated, failed];
        let boot = net.instance(&id).boot;
        let boot = if late { boot.saturating_sub(1) } else { boot };
        net.report_boot(&id, boot, outcomes[outcome % outcomes.len()].clone());
    } else if let Some(form) = form(net, subnets, step) {
        let before: Vec<_> = net.lab.world.tables().records().collect();
        if let Err(error) = net.lab.call(&form) {
            assert!(!error.is_server_fault(), "{form}\n{error}");
            assert_eq!(before, net.lab.world.tables().records().collect::<Vec<_>>(), "{form} was refused");
        }
    }
}

// === What must hold ===

fn check(world: &World) {
    check_addresses(world);
    check_attachments(world);
    check_indexes(world);
}

/// No address twice in a VPC, none outside the subnet or reserved.
fn check_addresses(world: &World) {
    let mut held: BTreeSet<(gp_model::VpcId, IpAddr)> = BTreeSet::new();
    for eni in world.tables().enis.values() {
        let subnet = world.subnet(eni.subnet).expect("the subnet is there");
        let prefixes = eni.ipv4_prefixes.iter().flat_map(|net| IpNet::V4(*net).hosts_and_ends());
        for address in eni.addresses().chain(prefixes) {
            assert!(held.insert((eni.vpc, address)), "{address} twice");
            assert!(subnet.contains(address) && !subnet.is_reserved(address), "{address} of {eni:?}");
        }
        assert!(!eni.private_ipv4.is_empty() && !eni.groups.is_empty());
        let octet = eni.mac.0[0];
        assert!(octet & 3 == 2, "{} is no local unicast address", eni.mac);
    }
}

trait HostsAndEnds {
    fn hosts_and_ends(self) -> Vec<IpAddr>;
}

impl HostsAndEnds for IpNet {
    /// Every address, the first and the last included.
    fn hosts_and_ends(self) -> Vec<IpAddr> {
        match self {
            IpNet::V4(net) => {
                (u32::from(net.network())..=u32::from(net.broadcast())).map(|a| IpAddr::V4(a.into())).collect()
            }
            IpNet::V6(_) => Vec::new(),
        }
    }
}

/// Limits of the type, places taken once, a primary for every instance that isn't over.
fn check_attachments(world: &World) {
    let mut places = BTreeSet::new();
    for eni in world.tables().enis.values() {
        let Some(attachment) = &eni.attachment else { continue };
        let instance = world.instance(attachment.instance).expect("the instance is there");
        assert!(places.insert((instance.id, attachment.network_card_index, attachment.device_index)));
        assert_eq!(eni.zone, instance.zone);
        assert_ne!(instance.state.name(), "terminated");
        let kind = catalog().get(&instance.instance_type).expect("the type is known");
        assert!(eni.private_ipv4.len() + eni.ipv4_prefixes.len() <= kind.ipv4_per_eni as usize, "{eni:?}");
        assert!(eni.ipv4_prefixes.is_empty() || kind.supports_prefixes());
    }
    for instance in world.tables().instances.values() {
        let enis = world.enis_of_instance(instance.id);
        let kind = catalog().get(&instance.instance_type).expect("the type is known");
        assert!(enis.len() <= kind.max_enis as usize);
        let over = instance.state.name() == "terminated";
        let primary = enis.first().and_then(|eni| eni.attachment.as_ref()).map(|a| a.device_index);
        assert_eq!(primary, (!over).then_some(0));
        assert_eq!(instance.terminated_at.is_some(), over);
    }
}

/// A world that is built from the tables has the same indexes as one that has lived through the changes.
fn check_indexes(world: &World) {
    let mut rebuilt = World::new(world.region.clone());
    world.tables().records().for_each(|record| rebuilt.apply(Change::Put(record)));
    for eni in world.tables().enis.values() {
        for address in eni.addresses() {
            assert_eq!(holder(world, eni, address), holder(&rebuilt, eni, address));
            assert_eq!(holder(world, eni, address), Some(eni.id));
        }
    }
    let by_instance = |world: &World| -> BTreeMap<_, Vec<_>> {
        let ids = world.tables().instances.keys();
        ids.map(|id| (*id, world.enis_of_instance(*id).iter().map(|eni| eni.id).collect())).collect()
    };
    assert_eq!(by_instance(world), by_instance(&rebuilt));
    for subnet in world.tables().subnets.keys() {
        assert!(world.enis_of_subnet(*subnet).eq(rebuilt.enis_of_subnet(*subnet)));
    }
    for group in world.tables().security_groups.keys() {
        assert!(world.enis_of_group(*group).eq(rebuilt.enis_of_group(*group)));
    }
}

fn holder(world: &World, eni: &Eni, address: IpAddr) -> Option<gp_model::EniId> {
    world.eni_at(eni.vpc, address).map(|eni| eni.id)
}

proptest! {
    #[test]
    fn no_sequence_of_calls_and_reports_breaks_the_world(steps in prop::collection::vec(step(), 1..80)) {
        let mut net = Net::new();
        let small = net.subnet("10.0.2.0/27", "a");
        let far = net.subnet("10.0.3.0/26", "b");
        let subnets = [net.subnet.clone(), small, far];
        for step in &steps {
            carry_out(&mut net, &subnets, step);
            check(&net.lab.world);
        }
        // What is stored can also be shown.
        let shown = net.lab.xml("Action=DescribeInstances");
        prop_assert_eq!(values(&shown, "amiLaunchIndex").len(), net.lab.world.tables().instances.len());
        net.lab.xml("Action=DescribeNetworkInterfaces");
    }
}
