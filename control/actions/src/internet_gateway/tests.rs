//! Internet gateways as callers see them: their life, and what stands in its way.

use crate::instance::testing::Net;
use crate::testing::values;

fn with_gateway(action: &str, gateway: &str, vpc: &str) -> String {
    format!("Action={action}InternetGateway&InternetGatewayId={gateway}&VpcId={vpc}")
}

#[test]
fn a_gateway_is_made_attached_detached_and_deleted() {
    let mut net = Net::new();
    let form = "Action=CreateInternetGateway&TagSpecification.1.ResourceType=internet-gateway\
                &TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=g";
    let made = net.lab.xml(form);
    assert_eq!((values(&made, "value"), values(&made, "state").len()), (vec!["g".to_owned()], 0));
    let (gateway, vpc) = (values(&made, "internetGatewayId").remove(0), net.vpc.clone());
    net.lab.xml(&with_gateway("Attach", &gateway, &vpc));
    let shown = net.lab.xml(&format!("Action=DescribeInternetGateways&InternetGatewayId.1={gateway}"));
    assert_eq!((values(&shown, "vpcId"), values(&shown, "state")), (vec![vpc.clone()], vec!["available".to_owned()]));
    net.lab.xml(&with_gateway("Detach", &gateway, &vpc));
    net.lab.xml(&format!("Action=DeleteInternetGateway&InternetGatewayId={gateway}"));
    let ask = format!("Action=DescribeInternetGateways&InternetGatewayId.1={gateway}");
    let gone = format!("InvalidInternetGatewayID.NotFound: The internetGateway ID '{gateway}' does not exist");
    assert_eq!(net.lab.refusal(&ask), gone);
}

#[test]
fn attachments_are_refused_in_awss_words() {
    let mut net = Net::new();
    let vpc = net.vpc.clone();
    let default_vpc = net.lab.get("Action=DescribeInternetGateways", "vpcId");
    let gateways: Vec<_> = (0..2).map(|_| net.lab.get("Action=CreateInternetGateway", "internetGatewayId")).collect();
    let [one, other] = gateways.as_slice() else { panic!("two were made") };
    net.lab.xml(&with_gateway("Attach", one, &vpc));
    net.lab.refuses(&[
        (
            &with_gateway("Attach", one, &default_vpc),
            &format!("Resource.AlreadyAssociated: resource {one} is already attached to network {vpc}"),
        ),
        (
            &with_gateway("Attach", other, &vpc),
            &format!("InvalidParameterValue: Network {vpc} already has an internet gateway attached"),
        ),
        (
            &with_gateway("Detach", other, &vpc),
            &format!("Gateway.NotAttached: resource {other} is not attached to network {vpc}"),
        ),
        (
            &format!("Action=DeleteInternetGateway&InternetGatewayId={one}"),
            &format!("DependencyViolation: The internetGateway '{one}' has dependencies and cannot be deleted."),
        ),
        (&with_gateway("Attach", "igw-0123456789abcdef0", &vpc), "InvalidInternetGatewayID.NotFound"),
        (&with_gateway("Attach", other, "vpc-0123456789abcdef0"), "InvalidVpcID.NotFound"),
    ]);
    net.lab.xml("Action=CreateInternetGateway");
    net.lab.xml("Action=CreateInternetGateway");
    assert!(net.lab.refusal("Action=CreateInternetGateway").starts_with("InternetGatewayLimitExceeded"));
}

#[test]
fn a_mapped_public_address_holds_the_gateway() {
    let mut net = Net::new();
    let (vpc, subnet) = (net.vpc.clone(), net.subnet.clone());
    let gateway = net.lab.get("Action=CreateInternetGateway", "internetGatewayId");
    net.lab.xml(&with_gateway("Attach", &gateway, &vpc));
    let allocation = net.lab.get("Action=AllocateAddress", "allocationId");
    let eni = net.eni(&subnet);
    let form = format!("Action=AssociateAddress&AllocationId={allocation}&NetworkInterfaceId={eni}");
    let association = net.lab.get(&form, "associationId");
    let mapped = format!(
        "DependencyViolation: Network {vpc} has some mapped public address(es). Please unmap those public address(es) \
         before detaching the gateway."
    );
    assert_eq!(net.lab.refusal(&with_gateway("Detach", &gateway, &vpc)), mapped);
    net.lab.xml(&format!("Action=DisassociateAddress&AssociationId={association}"));
    net.lab.xml(&with_gateway("Detach", &gateway, &vpc));
}

#[test]
fn a_route_to_a_detached_gateway_is_a_black_hole() {
    let mut net = Net::new();
    let vpc = net.vpc.clone();
    let gateway = net.lab.get("Action=CreateInternetGateway", "internetGatewayId");
    net.lab.xml(&with_gateway("Attach", &gateway, &vpc));
    let of_vpc = format!("Action=DescribeRouteTables&Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}");
    let table = net.lab.get(&of_vpc, "routeTableId");
    let route = format!("Action=CreateRoute&RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}");
    net.lab.xml(&route);
    net.lab.xml(&with_gateway("Detach", &gateway, &vpc));
    assert!(net.lab.all(&of_vpc, "state").contains(&"blackhole".to_owned()));
}

#[test]
fn the_default_vpc_can_be_taken_apart() {
    let mut net = Net::new();
    let gateway = net.lab.get("Action=DescribeInternetGateways", "internetGatewayId");
    let vpc = net.lab.get("Action=DescribeInternetGateways", "vpcId");
    let delete = format!("Action=DeleteVpc&VpcId={vpc}");
    let blocked = format!("DependencyViolation: The vpc '{vpc}' has dependencies and cannot be deleted.");
    let subnets = format!("Action=DescribeSubnets&Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}");
    for subnet in net.lab.all(&subnets, "subnetId") {
        assert_eq!(net.lab.refusal(&delete), blocked);
        net.lab.xml(&format!("Action=DeleteSubnet&SubnetId={subnet}"));
    }
    assert_eq!(net.lab.refusal(&delete), blocked, "the gateway is still attached");
    net.lab.xml(&with_gateway("Detach", &gateway, &vpc));
    net.lab.xml(&delete);
    net.lab.xml(&format!("Action=DeleteInternetGateway&InternetGatewayId={gateway}"));
    assert!(net.lab.all("Action=CreateDefaultVpc", "isDefault").contains(&"true".to_owned()));
}
