use crate::testing::{Lab, values};

/// A VPC with one subnet, and the default VPC's gateway.
struct Net {
    lab: Lab,
    vpc: String,
    subnet: String,
    main: String,
}

impl Net {
    fn new() -> Self {
        let mut lab = Lab::new();
        let vpc = lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
        let subnet = lab.get(&format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.0.1.0/24"), "subnetId");
        let tables = format!("Action=DescribeRouteTables&Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}");
        let main = lab.get(&tables, "routeTableId");
        Self { lab, vpc, subnet, main }
    }

    fn table(&mut self) -> String {
        self.lab.get(&format!("Action=CreateRouteTable&VpcId={}", self.vpc), "routeTableId")
    }
}

#[test]
fn a_new_table_has_the_local_route() {
    let mut net = Net::new();
    let xml = net.lab.xml(&format!("Action=CreateRouteTable&VpcId={}", net.vpc));
    assert_eq!(values(&xml, "destinationCidrBlock"), ["10.0.0.0/16"]);
    assert_eq!(values(&xml, "origin"), ["CreateRouteTable"]);
    assert_eq!(values(&xml, "state"), ["active"]);
    assert!(
        xml.contains("<associationSet/>") && xml.contains("<propagatingVgwSet/>") && xml.contains("<tagSet/>"),
        "{xml}"
    );
}

#[test]
fn a_subnet_moves_between_tables() {
    let mut net = Net::new();
    let (one, two) = (net.table(), net.table());
    let associate = |table: &str| format!("Action=AssociateRouteTable&RouteTableId={table}&SubnetId={}", net.subnet);
    let (to_one, to_two) = (associate(&one), associate(&two));
    let first = net.lab.get(&to_one, "associationId");
    assert_eq!(net.lab.get(&to_one, "associationId"), first, "asking again changes nothing");
    assert_eq!(
        net.lab.refusal(&to_two),
        format!(
            "Resource.AlreadyAssociated: the specified association for route table {two} conflicts with an existing \
             association"
        )
    );
    let delete = format!("Action=DeleteRouteTable&RouteTableId={one}");
    assert_eq!(
        net.lab.refusal(&delete),
        format!("DependencyViolation: The routeTable '{one}' has dependencies and cannot be deleted.")
    );
    let replace = format!("Action=ReplaceRouteTableAssociation&AssociationId={first}&RouteTableId={two}");
    let second = net.lab.get(&replace, "newAssociationId");
    let by_association = format!(
        "Action=DescribeRouteTables&Filter.1.Name=association.route-table-association-id&Filter.1.Value.1={second}"
    );
    assert_eq!(net.lab.get(&by_association, "routeTableId"), two);
    net.lab.xml(&delete);
    assert!(net.lab.refusal(&replace).starts_with("InvalidAssociationID.NotFound: The association ID 'rtbassoc-"));
    net.lab.xml(&format!("Action=DisassociateRouteTable&AssociationId={second}"));
    net.lab.xml(&format!("Action=DeleteRouteTable&RouteTableId={two}"));
}

#[test]
fn another_table_can_become_the_main_one() {
    let mut net = Net::new();
    let table = net.table();
    let main_of = format!(
        "Action=DescribeRouteTables&Filter.1.Name=association.main&Filter.1.Value.1=true&Filter.2.Name=vpc-id&\
         Filter.2.Value.1={}",
        net.vpc
    );
    let association = net.lab.get(&main_of, "routeTableAssociationId");
    let (disassociate, delete) = (
        format!("Action=DisassociateRouteTable&AssociationId={association}"),
        format!("Action=DeleteRouteTable&RouteTableId={}", net.main),
    );
    net.lab.refuses(&[(&disassociate, "InvalidParameterValue"), (&delete, "DependencyViolation")]);
    let replace =
        |id: &str, to: &str| format!("Action=ReplaceRouteTableAssociation&AssociationId={id}&RouteTableId={to}");
    let again = net.lab.get(&replace(&association, &table), "newAssociationId");
    assert_eq!(net.lab.all(&main_of, "routeTableId")[0], table);
    let same = net.lab.get(&replace(&again, &table), "newAssociationId");
    assert_eq!(net.lab.all(&main_of, "routeTableAssociationId"), [same]);
    net.lab.xml(&delete);
}

#[test]
fn tables_of_another_vpc_are_refused() {
    let mut net = Net::new();
    let other = net.lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
    let far = net.lab.get(&format!("Action=CreateRouteTable&VpcId={other}"), "routeTableId");
    let form = format!("Action=AssociateRouteTable&RouteTableId={far}&SubnetId={}", net.subnet);
    assert!(net.lab.refusal(&form).contains("belong to different networks"));
    let (gateway, no_subnet) = (
        format!("Action=AssociateRouteTable&RouteTableId={far}&GatewayId=igw-1"),
        format!("Action=AssociateRouteTable&RouteTableId={far}"),
    );
    net.lab.refuses(&[
        (&gateway, "InvalidGatewayID.NotFound"),
        (&no_subnet, "MissingParameter"),
        ("Action=DescribeRouteTables&RouteTableId.1=vpc-1", "InvalidRouteTableId.Malformed"),
        (
            "Action=DescribeRouteTables&RouteTableId.1=rtb-00000000000000fff",
            "InvalidRouteTableID.NotFound: The routeTable ID 'rtb-00000000000000fff' does not exist",
        ),
    ]);
}

#[test]
fn routes_go_to_the_gateway_of_their_vpc_alone() {
    let mut net = Net::new();
    let gateway = net.lab.get("Action=DescribeInternetGateways", "internetGatewayId");
    let default_vpc = net.lab.get("Action=DescribeInternetGateways", "vpcId");
    let table = net.lab.get(&format!("Action=CreateRouteTable&VpcId={default_vpc}"), "routeTableId");
    let create = |table: &str, to: &str, rest: &str| {
        format!("Action=CreateRoute&RouteTableId={table}&DestinationCidrBlock={to}{rest}")
    };
    let via = format!("&GatewayId={gateway}");
    assert_eq!(net.lab.get(&create(&table, "8.8.8.9/8", &via), "return"), "true");
    assert_eq!(net.lab.get(&create(&table, "8.0.0.0/8", &via), "return"), "true", "asking again changes nothing");
    let main = net.main.clone();
    net.lab.refuses(&[
        (&create(&table, "172.31.0.0/16", &via), "RouteAlreadyExists"),
        (&create(&table, "172.31.1.0/24", &via), "InvalidParameterValue: The destination CIDR block 172.31.1.0/24 is"),
        (&create(&table, "169.254.169.254/32", &via), "InvalidParameterValue"),
        (&create(&table, "x", &via), "InvalidParameterValue: Value (x) for parameter destinationCidrBlock is invalid."),
        (
            &create(&main, "0.0.0.0/0", &via),
            &format!(
                "InvalidParameterValue: route table {main} and network gateway {gateway} belong to different networks"
            ),
        ),
        (&create(&table, "9.0.0.0/8", ""), "MissingParameter"),
        (&create(&table, "9.0.0.0/8", "&GatewayId=local"), "InvalidParameterValue"),
        (&create(&table, "9.0.0.0/8", "&GatewayId=vgw-00000000000000001"), "UnsupportedOperation"),
        (&create(&table, "9.0.0.0/8", "&GatewayId=igw-00000000000000fff"), "InvalidGatewayID.NotFound"),
        (
            &create(&table, "9.0.0.0/8", "&NatGatewayId=nat-1"),
            "InvalidNatGatewayID.NotFound: The natGateway ID 'nat-1' does not exist",
        ),
        (
            &create(&table, "9.0.0.0/8", "&TransitGatewayId=tgw-1"),
            "UnsupportedOperation: The parameter TransitGatewayId is not",
        ),
        (&create(&table, "9.0.0.0/8", &format!("&DestinationIpv6CidrBlock=::/0{via}")), "InvalidParameterCombination"),
        (&format!("Action=CreateRoute&RouteTableId={table}{via}"), "MissingParameter"),
    ]);
    net.lab.settings.quotas.routes_per_table = 1;
    assert!(net.lab.refusal(&create(&table, "9.0.0.0/8", &via)).starts_with("RouteLimitExceeded"));
    net.lab.xml(&format!("Action=CreateRoute&RouteTableId={table}&DestinationIpv6CidrBlock=::/0{via}"));
}

#[test]
fn routes_are_replaced_and_deleted() {
    let mut net = Net::new();
    let gateway = net.lab.get("Action=DescribeInternetGateways", "internetGatewayId");
    let default_vpc = net.lab.get("Action=DescribeInternetGateways", "vpcId");
    let table = net.lab.get(&format!("Action=CreateRouteTable&VpcId={default_vpc}"), "routeTableId");
    let route = |action: &str, to: &str, rest: &str| {
        format!("Action={action}&RouteTableId={table}&DestinationCidrBlock={to}{rest}")
    };
    let via = format!("&GatewayId={gateway}");
    net.lab.refuses(&[
        (
            &route("ReplaceRoute", "0.0.0.0/0", &via),
            "InvalidParameterValue: There is no route defined for '0.0.0.0/0' in the route table. Use CreateRoute \
             instead.",
        ),
        (
            &route("DeleteRoute", "0.0.0.0/0", ""),
            &format!("InvalidRoute.NotFound: no route with destination-cidr-block 0.0.0.0/0 in route table {table}"),
        ),
        (&route("DeleteRoute", "172.31.0.0/16", ""), "InvalidParameterValue: cannot remove local route 172.31.0.0/16"),
        (&route("ReplaceRoute", "172.31.0.0/16", &via), "InvalidParameterValue: The destination CIDR block"),
    ]);
    net.lab.xml(&route("ReplaceRoute", "172.31.0.0/16", "&LocalTarget=true"));
    net.lab.xml(&route("CreateRoute", "0.0.0.0/0", &via));
    net.lab.xml(&route("ReplaceRoute", "0.0.0.0/0", &via));
    assert!(
        net.lab.refusal(&route("ReplaceRoute", "0.0.0.0/0", "&LocalTarget=true")).starts_with("InvalidParameterValue")
    );
    net.lab.xml(&route("DeleteRoute", "0.0.0.0/0", ""));
    let described = net.lab.xml(&format!("Action=DescribeRouteTables&RouteTableId.1={table}"));
    assert_eq!(values(&described, "destinationCidrBlock"), ["172.31.0.0/16"]);
}
