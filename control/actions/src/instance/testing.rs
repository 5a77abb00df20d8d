//! What tests of ENIs and instances share: a small network, launches and hosts' reports.

use crate::plan_report;
use crate::testing::Lab;
use gp_compile::{HostReport, InstanceOutcome};
use gp_model::{Instance, InstanceId};

/// A VPC with one subnet, 10.0.1.0/24 in zone a.
pub(crate) struct Net {
    pub(crate) lab: Lab,
    pub(crate) vpc: String,
    pub(crate) subnet: String,
    /// The VPC's default group.
    pub(crate) group: String,
    pub(crate) image: String,
}

impl Net {
    pub(crate) fn new() -> Self {
        let mut lab = Lab::new();
        let vpc = lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
        let subnet = subnet(&mut lab, &vpc, "10.0.1.0/24", "a");
        let group = format!("Action=DescribeSecurityGroups&Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}");
        let group = lab.get(&group, "groupId");
        let image = image(&mut lab, "al2023-ami-2023.*-kernel-6.1-x86_64");
        Self { lab, vpc, subnet, group, image }
    }

    /// Another subnet of the VPC.
    pub(crate) fn subnet(&mut self, block: &str, zone: &str) -> String {
        subnet(&mut self.lab, &self.vpc, block, zone)
    }

    /// Gives the VPC and its subnet an IPv6 block.
    pub(crate) fn add_ipv6(&mut self) {
        let (vpc, subnet) = (self.vpc.clone(), self.subnet.clone());
        self.lab.xml(&format!("Action=AssociateVpcCidrBlock&VpcId={vpc}&AmazonProvidedIpv6CidrBlock=true"));
        let block = self.lab.get(&format!("Action=DescribeVpcs&VpcId.1={vpc}"), "ipv6CidrBlock");
        let block = block.replace("/56", "/64");
        self.lab.xml(&format!("Action=AssociateSubnetCidrBlock&SubnetId={subnet}&Ipv6CidrBlock={block}"));
    }

    /// A new ENI of a subnet.
    pub(crate) fn eni(&mut self, subnet: &str) -> String {
        self.lab.get(&format!("Action=CreateNetworkInterface&SubnetId={subnet}"), "networkInterfaceId")
    }

    /// The form of a launch in the subnet, with further parameters.
    pub(crate) fn launch_form(&self, kind: &str, more: &str) -> String {
        let (image, subnet) = (&self.image, &self.subnet);
        format!("Action=RunInstances&MinCount=1&MaxCount=1&ImageId={image}&InstanceType={kind}&SubnetId={subnet}{more}")
    }

    /// A launched instance that its host runs.
    pub(crate) fn running(&mut self, kind: &str) -> String {
        let id = self.lab.get(&self.launch_form(kind, ""), "instanceId");
        self.report(&id, InstanceOutcome::Running);
        id
    }

    pub(crate) fn stopped(&mut self, kind: &str) -> String {
        let id = self.running(kind);
        self.lab.xml(&format!("Action=StopInstances&InstanceId.1={id}"));
        self.report(&id, InstanceOutcome::Stopped);
        id
    }

    pub(crate) fn instance(&self, id: &str) -> Instance {
        let id: InstanceId = id.parse().unwrap();
        (**self.lab.world.instance(id).unwrap()).clone()
    }

    pub(crate) fn state(&self, id: &str) -> &'static str {
        self.instance(id).state.name()
    }

    /// The host reports about the boot that it was asked for.
    pub(crate) fn report(&mut self, id: &str, outcome: InstanceOutcome) {
        let boot = self.instance(id).boot;
        self.report_boot(id, boot, outcome);
    }

    pub(crate) fn report_boot(&mut self, id: &str, boot: u32, outcome: InstanceOutcome) {
        let region = self.lab.world.region.clone();
        let report = HostReport::Instance { region, instance: id.parse().unwrap(), boot, outcome };
        let changes = plan_report(&self.lab.world, &report, self.lab.now);
        self.lab.apply(changes);
    }

    /// The ENIs of an instance, the primary first.
    pub(crate) fn enis_of(&self, id: &str) -> Vec<String> {
        let enis = self.lab.world.enis_of_instance(id.parse().unwrap());
        enis.iter().map(|eni| eni.id.to_string()).collect()
    }

    pub(crate) fn attach(&mut self, eni: &str, instance: &str, index: u32) -> String {
        self.lab.get(&attach_form(eni, instance, index), "attachmentId")
    }
}

pub(crate) fn attach_form(eni: &str, instance: &str, index: u32) -> String {
    format!("Action=AttachNetworkInterface&NetworkInterfaceId={eni}&InstanceId={instance}&DeviceIndex={index}")
}

pub(crate) fn subnet(lab: &mut Lab, vpc: &str, block: &str, zone: &str) -> String {
    let zone = format!("{}{zone}", lab.caller.region);
    let form = format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock={block}&AvailabilityZone={zone}");
    lab.get(&form, "subnetId")
}

/// The id of the first image whose name fits.
pub(crate) fn image(lab: &mut Lab, name: &str) -> String {
    lab.get(&format!("Action=DescribeImages&Filter.1.Name=name&Filter.1.Value.1={name}"), "imageId")
}
