//! Egress-only internet gateways as callers see them.

use crate::instance::testing::Net;
use crate::testing::values;

#[test]
fn a_gateway_is_made_attached_listed_tagged_and_deleted() {
    let mut net = Net::new();
    let vpc = net.vpc.clone();
    let form = format!("Action=CreateEgressOnlyInternetGateway&VpcId={vpc}&ClientToken=t");
    let made = net.lab.xml(&form);
    assert_eq!((values(&made, "state"), values(&made, "vpcId")), (vec!["attached".to_owned()], vec![vpc.clone()]));
    let id = values(&made, "egressOnlyInternetGatewayId").remove(0);
    assert_eq!(net.lab.get(&form, "egressOnlyInternetGatewayId"), id, "the same token again");
    net.lab.xml(&format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=Name&Tag.1.Value=e"));
    let named = "Action=DescribeEgressOnlyInternetGateways&Filter.1.Name=tag:Name&Filter.1.Value.1=e";
    assert_eq!(net.lab.all(named, "egressOnlyInternetGatewayId"), std::slice::from_ref(&id));
    assert_eq!(net.lab.all("Action=DescribeTags", "resourceType"), ["egress-only-internet-gateway"]);
    let again = format!("Action=CreateEgressOnlyInternetGateway&VpcId={vpc}");
    let subnets = format!("Action=DeleteSubnet&SubnetId={}", net.subnet);
    net.lab.xml(&subnets);
    net.lab.refuses(&[
        (&again, "InvalidParameterValue: Network"),
        (&format!("Action=DeleteVpc&VpcId={vpc}"), "DependencyViolation: The vpc '"),
        (
            "Action=DeleteEgressOnlyInternetGateway&EgressOnlyInternetGatewayId=eigw-0123456789abcdef0",
            "InvalidGatewayID.NotFound: The gateway ID 'eigw-0123456789abcdef0' does not exist",
        ),
    ]);
    let delete = format!("Action=DeleteEgressOnlyInternetGateway&EgressOnlyInternetGatewayId={id}");
    assert_eq!(net.lab.get(&delete, "returnCode"), "true");
    assert!(net.lab.refusal(&form).starts_with("IdempotentParameterMismatch"), "what the token made is gone");
    net.lab.xml(&format!("Action=DeleteVpc&VpcId={vpc}"));
}
