use super::testing::{Net, attach_form};
use crate::{StandIn, plan_stand_in, plan_take_back};
use gp_compile::{HostReport, InstanceOutcome};
use gp_ec2::ApiError;
use gp_model::{EniId, ExternalGuest, ExternalNetns};

fn netns(path: &str, ifname: Option<&str>) -> ExternalGuest {
    let ifname = ifname.map(str::to_owned);
    ExternalGuest::Netns(ExternalNetns { path: path.to_owned(), ifname, is_configured: true })
}

fn give(net: &mut Net, eni: &str, guest: ExternalGuest, instance_type: &str) -> Result<String, ApiError> {
    let wanted = StandIn { eni: eni.parse().unwrap(), guest, instance_type: instance_type.to_owned() };
    let mut last = 1 << 64;
    let mut ids = || {
        last += 1;
        last
    };
    let lab = &mut net.lab;
    let (changes, id) = plan_stand_in(&lab.world, &wanted, lab.now, &mut ids, &lab.settings)?;
    lab.apply(changes);
    Ok(id.to_string())
}

fn refusal(net: &mut Net, eni: &str, guest: ExternalGuest, instance_type: &str) -> String {
    give(net, eni, guest, instance_type).unwrap_err().to_string()
}

fn take_back(net: &mut Net, eni: &str) -> Result<String, ApiError> {
    let (changes, id) = plan_take_back(&net.lab.world, eni.parse().unwrap(), net.lab.now)?;
    net.lab.apply(changes);
    Ok(id.to_string())
}

#[test]
fn a_stand_in_is_described_and_gives_its_eni_back_when_it_ends() {
    let mut net = Net::new();
    let subnet = net.subnet.clone();
    let eni = net.eni(&subnet);
    let id = give(&mut net, &eni, netns("/run/netns/a", None), "m5.large").unwrap();
    assert_eq!(net.state(&id), "pending");
    net.report(&id, InstanceOutcome::Running);
    let described = net.lab.xml(&format!("Action=DescribeInstances&InstanceId.1={id}"));
    assert!(described.contains("<name>running</name>") && described.contains("m5.large") && described.contains(&eni));
    for action in ["StopInstances", "StartInstances", "RebootInstances"] {
        let refused = net.lab.refusal(&format!("Action={action}&InstanceId.1={id}"));
        assert!(refused.starts_with("UnsupportedOperation") && refused.contains(action), "{refused}");
    }
    assert_eq!(take_back(&mut net, &eni).unwrap(), id);
    assert_eq!(take_back(&mut net, &eni).unwrap(), id, "asking twice is fine");
    assert_eq!(net.state(&id), "shutting-down");
    net.report(&id, InstanceOutcome::Terminated);
    assert_eq!(net.state(&id), "terminated");
    let status = net.lab.get(&format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}"), "status");
    assert_eq!(status, "available");
}

#[test]
fn a_stand_in_goes_with_its_guest() {
    let mut net = Net::new();
    let subnet = net.subnet.clone();
    let eni = net.eni(&subnet);
    let id = give(&mut net, &eni, ExternalGuest::Tap("vm0".into()), "m5.large").unwrap();
    net.report(&id, InstanceOutcome::Running);
    net.report(&id, InstanceOutcome::Stopped);
    assert_eq!(net.state(&id), "shutting-down");
    net.report(&id, InstanceOutcome::Terminated);
    let id = give(&mut net, &eni, ExternalGuest::Tap("vm0".into()), "m5.large").unwrap();
    net.report(&id, InstanceOutcome::Running);
    net.report(&id, InstanceOutcome::Failed { reason: "it is not there any more".into() });
    assert_eq!(net.state(&id), "terminated");
    assert!(net.lab.world.eni(eni.parse().unwrap()).unwrap().attachment.is_none());
}

#[test]
fn what_no_guest_can_have_is_refused() {
    let mut net = Net::new();
    let subnet = net.subnet.clone();
    let eni = net.eni(&subnet);
    let tap = |name: &str| ExternalGuest::Tap(name.to_owned());
    for guest in [netns("run/a", None), netns("/run/a", Some("a/b")), tap(""), tap("a b"), tap("thirteen-byte")] {
        let refused = refusal(&mut net, &eni, guest, "m5.large");
        assert!(refused.starts_with("InvalidParameterValue"), "{refused}");
    }
    assert!(refusal(&mut net, &eni, tap("a"), "m5.tiny").starts_with("InvalidParameterValue"));
    let unknown = refusal(&mut net, "eni-00000000000000001", tap("a"), "m5.large");
    assert!(unknown.starts_with("InvalidNetworkInterfaceID.NotFound"), "{unknown}");
    let instance = net.running("t3.micro");
    let primary = net.enis_of(&instance).remove(0);
    assert!(refusal(&mut net, &primary, tap("a"), "m5.large").starts_with("InvalidNetworkInterface.InUse"));
    let refused = take_back(&mut net, &primary).unwrap_err().to_string();
    assert!(refused.starts_with("OperationNotPermitted"), "{refused}");
    assert!(take_back(&mut net, &eni).unwrap_err().to_string().starts_with("IncorrectState"));
    let branch = format!("Action=CreateNetworkInterface&SubnetId={subnet}&InterfaceType=branch");
    let branch = net.lab.get(&branch, "networkInterfaceId");
    let refused = refusal(&mut net, &branch, tap("a"), "m5.large");
    assert!(refused.starts_with("OperationNotPermitted: Branch network interface"), "{refused}");
    let assign = format!("Action=AssignPrivateIpAddresses&NetworkInterfaceId={eni}&SecondaryPrivateIpAddressCount=3");
    net.lab.xml(&assign);
    let refused = refusal(&mut net, &eni, tap("a"), "t2.micro");
    assert!(refused.starts_with("PrivateIpAddressLimitExceeded"), "{refused}");
}

#[test]
fn an_attachment_that_the_host_could_not_make_is_taken_back() {
    let mut net = Net::new();
    let subnet = net.subnet.clone();
    let (instance, eni) = (net.running("t3.micro"), net.eni(&subnet));
    let id = |net: &Net| net.lab.world.eni(eni.parse().unwrap()).unwrap().attachment.clone().map(|a| a.id);
    net.lab.xml(&attach_form(&eni, &instance, 1));
    let report = |attachment| HostReport::Unattached {
        region: gp_model::Region::new("us-east-1"),
        eni: eni.parse::<EniId>().unwrap(),
        attachment,
        reason: "eth1 is taken".into(),
    };
    let first = report(id(&net).unwrap());
    let changes = crate::plan_report(&net.lab.world, &first, net.lab.now);
    net.lab.apply(changes);
    assert_eq!(id(&net), None);
    net.lab.xml(&attach_form(&eni, &instance, 1));
    assert!(crate::plan_report(&net.lab.world, &first, net.lab.now).is_empty(), "another attachment is not meant");
}
