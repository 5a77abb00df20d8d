//! Random walks: long sequences of calls and reports, after each of which the world must still make sense.

mod calls;
mod check;

use super::testing::{self, Net, attach_form};
use crate::testing::values;
use calls::Call;
use gp_compile::InstanceOutcome;
use gp_model::Eni;
use proptest::prelude::*;
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
    /// A call about one thing and another, with a small number.
    Call(Call, usize, usize, u8),
}

const TYPES: [&str; 5] = ["t2.micro", "t3.micro", "c5.large", "m5.xlarge", "m5.large"];
const ACTIONS: [&str; 4] = ["Start", "Stop", "Reboot", "Terminate"];

fn step() -> impl Strategy<Value = Step> {
    let nth = || 0..64_usize;
    prop_oneof![
        1 => (nth(), 0..4_u8, 0..3_u8).prop_map(|(subnet, secondary, prefixes)| Step::CreateEni {
            subnet,
            secondary,
            prefixes
        }),
        1 => nth().prop_map(Step::DeleteEni),
        1 => (nth(), nth(), 0..5_u8).prop_map(|(eni, instance, index)| Step::Attach { eni, instance, index }),
        1 => nth().prop_map(Step::Detach),
        1 => (nth(), 0..4_u8, 0..2_u8).prop_map(|(eni, count, prefixes)| Step::Assign { eni, count, prefixes }),
        1 => (nth(), nth()).prop_map(|(from, to)| Step::Move { from, to }),
        1 => nth().prop_map(Step::Unassign),
        1 => (nth(), nth(), 1..4_u8).prop_map(|(subnet, kind, count)| Step::Launch { subnet, kind, count }),
        1 => (nth(), nth()).prop_map(|(eni, kind)| Step::LaunchWith { eni, kind }),
        1 => (nth(), nth()).prop_map(|(action, instance)| Step::Act { action, instance }),
        1 => (nth(), nth(), any::<bool>()).prop_map(|(instance, outcome, late)| Step::Report { instance, outcome, late }),
        12 => (prop::sample::select(calls::ALL), nth(), nth(), any::<u8>()).prop_map(|(c, a, b, n)| Step::Call(c, a, b, n)),
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
        Step::Call(call, a, b, n) => calls::form(net, subnets, call, (a, b, n))?,
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
    } else if let Step::Call(call, a, b, n) = *step
        && calls::by_service(net, subnets, call, (a, b, n))
    {
        // What services do is not refused.
    } else if let Some(form) = form(net, subnets, step) {
        let before: Vec<_> = net.lab.world.tables().records().collect();
        if let Err(error) = net.lab.call(&form) {
            assert!(!error.is_server_fault(), "{form}\n{error}");
            assert_eq!(before, net.lab.world.tables().records().collect::<Vec<_>>(), "{form} was refused");
        }
    }
}

proptest! {
    #[test]
    fn no_sequence_of_calls_and_reports_breaks_the_world(steps in prop::collection::vec(step(), 1..120)) {
        let mut net = Net::new();
        let small = net.subnet("10.0.2.0/27", "a");
        let far = net.subnet("10.0.3.0/26", "b");
        net.add_ipv6();
        let other = net.lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
        let other = testing::subnet(&mut net.lab, &other, "10.0.1.0/26", "a");
        let subnets = [net.subnet.clone(), small, far, other];
        for step in &steps {
            carry_out(&mut net, &subnets, step);
            check::check(&net.lab.world);
        }
        check::check_rebuilt(&net.lab.world);
        // What is stored can also be shown.
        let shown = net.lab.xml("Action=DescribeInstances");
        prop_assert_eq!(values(&shown, "amiLaunchIndex").len(), net.lab.world.tables().instances.len());
        net.lab.xml("Action=DescribeNetworkInterfaces");
    }
}
