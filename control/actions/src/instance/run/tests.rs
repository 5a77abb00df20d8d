//! Launches whose parameters are honoured only in part.

use crate::instance::testing::Net;
use crate::testing::values;

#[test]
fn a_launch_may_say_the_names_that_its_subnet_gives_and_no_others() {
    let mut net = Net::new();
    let named =
        |net: &Net, kind: &str| net.launch_form("t3.nano", &format!("&PrivateDnsNameOptions.HostnameType={kind}"));
    let records = "&PrivateDnsNameOptions.EnableResourceNameDnsARecord";
    assert_eq!(net.lab.get(&named(&net, "ip-name"), "hostnameType"), "ip-name");
    let none = net.launch_form("t3.nano", &format!("{records}=false"));
    assert_eq!(net.lab.get(&none, "enableResourceNameDnsARecord"), "false");
    let (other, asked) = (named(&net, "resource-name"), net.launch_form("t3.nano", &format!("{records}=true")));
    net.lab.refuses(&[
        (&other, "UnsupportedOperation: The parameter PrivateDnsNameOptions.HostnameType is not supported"),
        (&asked, "UnsupportedOperation: The parameter PrivateDnsNameOptions.EnableResourceNameDnsARecord is not"),
    ]);
    let modify = "Action=ModifySubnetAttribute&PrivateDnsHostnameTypeOnLaunch=resource-name";
    net.lab.xml(&format!("{modify}&SubnetId={}", net.subnet));
    let xml = net.lab.xml(&other);
    let id = values(&xml, "instanceId").remove(0);
    assert_eq!(values(&xml, "privateDnsName")[0], format!("{id}.ec2.internal"));
}

#[test]
fn a_public_address_goes_to_a_new_primary_interface_only() {
    let mut net = Net::new();
    let image = &net.image;
    let form = format!(
        "Action=RunInstances&MinCount=1&MaxCount=1&ImageId={image}&NetworkInterface.1.SubnetId={}\
         &NetworkInterface.1.AssociatePublicIpAddress=true&NetworkInterface.1.DeviceIndex",
        net.subnet
    );
    net.lab
        .refuses(&[(&format!("{form}=1"), "InvalidParameterCombination: The associatePublicIPAddress parameter can")]);
    net.lab.xml(&format!("{form}=0"));
}
