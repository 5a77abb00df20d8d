//! Trunks and branches as callers see them.

use crate::instance::testing::{Net, attach_form};
use gp_compile::InstanceOutcome;

impl Net {
    fn eni_of_type(&mut self, kind: &str) -> String {
        let form = format!("Action=CreateNetworkInterface&SubnetId={}&InterfaceType={kind}", self.subnet);
        self.lab.get(&form, "networkInterfaceId")
    }

    /// A trunk on a running instance that carries nine branches.
    fn trunk(&mut self) -> (String, String) {
        let (instance, trunk) = (self.running("m5.large"), self.eni_of_type("trunk"));
        self.attach(&trunk, &instance, 1);
        (instance, trunk)
    }

    fn associate(&mut self, branch: &str, trunk: &str, vlan: u16) -> String {
        self.lab.get(&associate_form(branch, trunk, vlan), "associationId")
    }

    fn shown(&mut self, eni: &str, element: &str) -> String {
        self.lab.get(&format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}"), element)
    }
}

fn associate_form(branch: &str, trunk: &str, vlan: u16) -> String {
    format!("Action=AssociateTrunkInterface&BranchInterfaceId={branch}&TrunkInterfaceId={trunk}&VlanId={vlan}")
}

#[test]
fn a_branch_is_a_vlan_of_its_trunk() {
    let mut net = Net::new();
    let (_, trunk) = net.trunk();
    let branch = net.eni_of_type("branch");
    assert_eq!(
        (net.shown(&trunk, "interfaceType"), net.shown(&branch, "status")),
        ("trunk".into(), "available".into())
    );
    let form = format!("{}&ClientToken=t", associate_form(&branch, &trunk, 7));
    let association = net.lab.get(&form, "associationId");
    assert!(association.starts_with("trunk-assoc-"));
    assert_eq!(net.lab.get(&form, "associationId"), association, "the token's own answer again");
    assert_eq!(net.shown(&branch, "status"), "associated");
    let list = "Action=DescribeTrunkInterfaceAssociations";
    for (element, want) in
        [("branchInterfaceId", &*branch), ("trunkInterfaceId", &*trunk), ("interfaceProtocol", "VLAN"), ("vlanId", "7")]
    {
        assert_eq!(net.lab.all(list, element), [want]);
    }
    assert_eq!(
        net.lab.all(&format!("{list}&Filter.1.Name=interface-protocol&Filter.1.Value.1=GRE"), "vlanId").len(),
        0
    );
    net.lab.xml(&format!("Action=DisassociateTrunkInterface&AssociationId={association}"));
    assert_eq!(net.shown(&branch, "status"), "available");
    net.lab.xml(&format!("Action=DeleteNetworkInterface&NetworkInterfaceId={branch}"));
    net.lab.refuses(&[(
        &format!("Action=DisassociateTrunkInterface&AssociationId={association}"),
        &format!("InvalidAssociationID.NotFound: The association ID '{association}' does not exist"),
    )]);
}

#[test]
fn what_is_no_free_branch_or_no_attached_trunk_is_refused() {
    let mut net = Net::new();
    let (instance, trunk) = net.trunk();
    let (branch, other, loose) = (net.eni_of_type("branch"), net.eni_of_type("branch"), net.eni_of_type("trunk"));
    let ordinary = net.eni(&net.subnet.clone());
    let far = net.subnet("10.0.2.0/24", "b");
    let far = format!("Action=CreateNetworkInterface&SubnetId={far}&InterfaceType=branch");
    let far = net.lab.get(&far, "networkInterfaceId");
    net.associate(&branch, &trunk, 1);
    net.lab.refuses(&[
        (
            &associate_form(&ordinary, &trunk, 2),
            &format!("InvalidParameterValue: Network interface '{ordinary}' is not"),
        ),
        (&associate_form(&other, &ordinary, 2), "InvalidParameterValue: "),
        (&associate_form(&branch, &trunk, 2), &format!("InvalidNetworkInterface.InUse: Interface: [{branch}] in use.")),
        (&associate_form(&other, &loose, 2), "IncorrectState: "),
        (&associate_form(&other, &trunk, 1), "InvalidParameterValue: VLAN ID '1' is already in use"),
        (&associate_form(&other, &trunk, 0), "InvalidParameterValue: "),
        (&associate_form(&other, &trunk, 121), "InvalidParameterValue: "),
        (&associate_form(&far, &trunk, 2), "InvalidParameterCombination: "),
        (&associate_form("eni-0123456789abcdef0", &trunk, 2), "InvalidNetworkInterfaceID.NotFound: "),
        (
            &format!("Action=AssociateTrunkInterface&BranchInterfaceId={other}&TrunkInterfaceId={trunk}&GreKey=5"),
            "UnsupportedOperation: The parameter GreKey",
        ),
        (
            &format!("Action=AssociateTrunkInterface&BranchInterfaceId={other}&TrunkInterfaceId={trunk}"),
            "MissingParameter",
        ),
        (&attach_form(&other, &instance, 2), "OperationNotPermitted: Branch network interface"),
        (
            &format!("Action=DeleteNetworkInterface&NetworkInterfaceId={branch}"),
            &format!("InvalidParameterValue: Network interface '{branch}' is currently in use."),
        ),
        (
            &format!("Action=CreateNetworkInterface&SubnetId={}&InterfaceType=efa", net.subnet),
            "UnsupportedOperation: The parameter InterfaceType",
        ),
        (
            &format!("Action=CreateNetworkInterface&SubnetId={}&InterfaceType=efa-only", net.subnet),
            "UnsupportedOperation: The parameter InterfaceType",
        ),
    ]);
}

#[test]
fn a_type_limits_its_trunks_and_branches() {
    let mut net = Net::new();
    let (instance, trunk) = net.trunk();
    for vlan in 1..=9 {
        let branch = net.eni_of_type("branch");
        net.associate(&branch, &trunk, vlan);
    }
    let tenth = net.eni_of_type("branch");
    assert_eq!(
        net.lab.refusal(&associate_form(&tenth, &trunk, 10)),
        "AttachmentLimitExceeded: Branch interface count 10 exceeds the limit for m5.large"
    );
    let (small, second) = (net.running("t3.micro"), net.eni_of_type("trunk"));
    assert!(net.lab.refusal(&attach_form(&second, &small, 1)).starts_with("UnsupportedOperation: Trunk"));
    let launch = format!(
        "{}&NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.NetworkInterfaceId={second}",
        net.launch_form("t3.micro", "").replace(&format!("&SubnetId={}", net.subnet), "")
    );
    assert!(net.lab.refusal(&launch).starts_with("UnsupportedOperation: Trunk"));
    net.lab.xml(&format!("Action=StopInstances&InstanceId.1={instance}"));
    net.report(&instance, InstanceOutcome::Stopped);
    let modify = format!("Action=ModifyInstanceAttribute&InstanceId={instance}&InstanceType.Value=t3.large");
    assert!(net.lab.refusal(&modify).starts_with("UnsupportedOperation: Trunk"));
}

#[test]
fn branches_stay_with_a_trunk_that_moves_and_are_free_when_it_is_deleted() {
    let mut net = Net::new();
    let (first, trunk) = net.trunk();
    let branch = net.eni_of_type("branch");
    net.associate(&branch, &trunk, 5);
    let attachment = net.shown(&trunk, "attachmentId");
    net.lab.xml(&format!("Action=DetachNetworkInterface&AttachmentId={attachment}"));
    assert_eq!(net.shown(&branch, "status"), "associated");
    assert!(
        net.lab
            .refusal(&format!("Action=DeleteNetworkInterface&NetworkInterfaceId={trunk}"))
            .starts_with("InvalidParameterValue: Network interface")
    );
    let second = net.running("m5.large");
    let attachment = net.attach(&trunk, &second, 1);
    net.lab.xml(&format!(
        "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={trunk}&Attachment.AttachmentId={attachment}\
         &Attachment.DeleteOnTermination=true"
    ));
    net.lab.xml(&format!("Action=TerminateInstances&InstanceId.1={second}&InstanceId.2={first}"));
    net.report(&second, InstanceOutcome::Terminated);
    assert_eq!(net.shown(&branch, "status"), "available");
    assert_eq!(net.lab.world.tables().trunk_associations.len(), 0);
}
