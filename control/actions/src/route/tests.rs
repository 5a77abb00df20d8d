//! Routes as callers see them: every target, middleboxes inside the VPC, gateways' tables, black holes.

use crate::instance::testing::Net;
use crate::testing::values;
use gp_compile::InstanceOutcome;
use gp_model::{
    Change, EgressOnlyInternetGateway, NatConnectivity, NatGateway, NatGatewayId, NatGatewayState, Record, Tags,
};

/// A VPC with an IPv6 block, a subnet beside the first, a table of its own and an internet gateway.
struct Routes {
    net: Net,
    table: String,
}

impl Routes {
    fn new() -> Self {
        let mut net = Net::new();
        net.subnet("10.0.2.0/24", "b");
        let table = net.lab.get(&format!("Action=CreateRouteTable&VpcId={}", net.vpc), "routeTableId");
        Self { net, table }
    }

    fn form(&self, action: &str, to: &str, rest: &str) -> String {
        let parameter = if to.starts_with("pl-") {
            "DestinationPrefixListId"
        } else if to.contains(':') {
            "DestinationIpv6CidrBlock"
        } else {
            "DestinationCidrBlock"
        };
        format!("Action={action}&RouteTableId={}&{parameter}={to}{rest}", self.table)
    }

    fn create(&mut self, to: &str, rest: &str) {
        let form = self.form("CreateRoute", to, rest);
        self.net.lab.xml(&form);
    }

    fn describe(&mut self) -> String {
        self.net.lab.xml(&format!("Action=DescribeRouteTables&RouteTableId.1={}", self.table))
    }

    fn states(&mut self) -> Vec<String> {
        // The last one is the association's, if there is one.
        values(&self.describe(), "state")
    }

    fn gateway(&mut self) -> String {
        // The default VPC's gateway, moved over.
        let lab = &mut self.net.lab;
        let mut gateway = (**lab.world.tables().internet_gateways.values().next().unwrap()).clone();
        gateway.attached_to = Some(self.net.vpc.parse().unwrap());
        let id = gateway.id.to_string();
        lab.apply(vec![Change::Put(Record::InternetGateway(gateway))]);
        id
    }

    fn nat_gateway(&mut self, state: NatGatewayState) -> String {
        let lab = &mut self.net.lab;
        let id = NatGatewayId::from_bits(0xa1);
        let gateway = NatGateway {
            id,
            owner: lab.caller.account,
            vpc: self.net.vpc.parse().unwrap(),
            subnet: self.net.subnet.parse().unwrap(),
            eni: None,
            connectivity: NatConnectivity::Private,
            state,
            failure: None,
            addresses: Vec::new(),
            ports_per_destination: None,
            created_at: lab.now,
            deleted_at: None,
            tags: Tags::new(),
        };
        lab.apply(vec![Change::Put(Record::NatGateway(gateway))]);
        id.to_string()
    }
}

#[test]
fn a_route_to_an_instance_is_one_to_its_interface() {
    let mut routes = Routes::new();
    let instance = routes.net.running("t3.micro");
    let eni = routes.net.enis_of(&instance).remove(0);
    routes.create("0.0.0.0/0", &format!("&InstanceId={instance}"));
    let xml = routes.describe();
    assert_eq!(values(&xml, "networkInterfaceId"), [eni.as_str()]);
    assert_eq!(values(&xml, "instanceId"), [instance.as_str()]);
    assert_eq!(values(&xml, "instanceOwnerId"), ["111122223333"]);
    assert_eq!(values(&xml, "state"), ["active", "active"]);
    for (filter, value) in [("route.instance-id", &instance), ("route.state", &"active".to_owned())] {
        let form = format!("Action=DescribeRouteTables&Filter.1.Name={filter}&Filter.1.Value.1={value}");
        assert!(routes.net.lab.all(&form, "routeTableId").contains(&routes.table), "{filter}");
    }
    let same = routes.form("CreateRoute", "0.0.0.0/0", &format!("&NetworkInterfaceId={eni}"));
    routes.net.lab.xml(&same);
    let second = routes.net.eni(&routes.net.subnet.clone());
    routes.net.attach(&second, &instance, 1);
    let many = routes.form("CreateRoute", "1.0.0.0/8", &format!("&InstanceId={instance}"));
    assert_eq!(
        routes.net.lab.refusal(&many),
        format!(
            "InvalidInstanceID: There are multiple interfaces attached to instance '{instance}'. Please specify an \
             interface ID for the operation instead."
        )
    );
}

#[test]
fn a_route_is_a_black_hole_while_its_interface_takes_nothing() {
    let mut routes = Routes::new();
    let instance = routes.net.running("t3.micro");
    let eni = routes.net.enis_of(&instance).remove(0);
    routes.create("0.0.0.0/0", &format!("&NetworkInterfaceId={eni}"));
    assert_eq!(routes.states(), ["active", "active"]);
    routes.net.lab.xml(&format!("Action=StopInstances&InstanceId.1={instance}"));
    routes.net.report(&instance, InstanceOutcome::Stopped);
    assert_eq!(routes.states(), ["active", "blackhole"]);
    routes.net.lab.xml(&format!("Action=StartInstances&InstanceId.1={instance}"));
    assert_eq!(routes.states(), ["active", "active"]);
    routes.net.lab.xml(&format!("Action=TerminateInstances&InstanceId.1={instance}"));
    routes.net.report(&instance, InstanceOutcome::Terminated);
    let xml = routes.describe();
    assert_eq!(values(&xml, "state"), ["active", "blackhole"]);
    assert_eq!((values(&xml, "networkInterfaceId"), values(&xml, "instanceId").len()), (vec![eni], 0));
    let loose = routes.net.eni(&routes.net.subnet.clone());
    let replace = routes.form("ReplaceRoute", "0.0.0.0/0", &format!("&NetworkInterfaceId={loose}"));
    routes.net.lab.xml(&replace);
    assert_eq!(routes.states(), ["active", "blackhole"], "nothing has it attached");
    let delete = routes.form("DeleteRoute", "0.0.0.0/0", "");
    routes.net.lab.xml(&delete);
    assert_eq!(routes.states(), ["active"]);
}

#[test]
fn gateways_of_each_kind_are_targets() {
    let mut routes = Routes::new();
    let (gateway, nat) = (routes.gateway(), routes.nat_gateway(NatGatewayState::Available));
    let vpc = routes.net.vpc.parse().unwrap();
    let owner = routes.net.lab.caller.account;
    let egress_only = EgressOnlyInternetGateway {
        id: gp_model::EgressOnlyInternetGatewayId::from_bits(7),
        owner,
        vpc,
        tags: Tags::new(),
    };
    let eigw = egress_only.id.to_string();
    routes.net.lab.apply(vec![Change::Put(Record::EgressOnlyInternetGateway(egress_only))]);
    routes.create("0.0.0.0/0", &format!("&NatGatewayId={nat}"));
    routes.create("1.0.0.0/8", &format!("&GatewayId={gateway}"));
    routes.create("::/0", &format!("&EgressOnlyInternetGatewayId={eigw}"));
    let xml = routes.describe();
    assert_eq!(values(&xml, "natGatewayId"), [nat.as_str()]);
    assert_eq!(values(&xml, "egressOnlyInternetGatewayId"), [eigw.as_str()]);
    assert_eq!(values(&xml, "gatewayId"), ["local".to_owned(), gateway.clone()]);
    assert_eq!(values(&xml, "state"), ["active"; 4]);
    let (ipv4, two, far) = (
        routes.form("CreateRoute", "2.0.0.0/8", &format!("&EgressOnlyInternetGatewayId={eigw}")),
        routes.form("CreateRoute", "2.0.0.0/8", &format!("&GatewayId={gateway}&NatGatewayId={nat}")),
        routes.form("CreateRoute", "2.0.0.0/8", "&GatewayId=eigw-00000000000000fff"),
    );
    routes.net.lab.refuses(&[
        (&ipv4, "InvalidParameterCombination"),
        (&two, "InvalidParameterCombination"),
        (&far, "InvalidGatewayID.NotFound"),
    ]);
    for (state, shown) in [
        (NatGatewayState::Pending, "blackhole"),
        (NatGatewayState::Available, "active"),
        (NatGatewayState::Deleting, "blackhole"),
        (NatGatewayState::Deleted, "blackhole"),
    ] {
        routes.nat_gateway(state);
        assert_eq!(routes.states()[1], shown, "{state:?}");
    }
    let gone = routes.form("CreateRoute", "3.0.0.0/8", &format!("&NatGatewayId={nat}"));
    routes.net.lab.refuses(&[(&gone, "InvalidNatGatewayID.NotFound")]);
}

#[test]
fn routes_inside_the_vpc_go_through_a_middlebox() {
    let mut routes = Routes::new();
    let instance = routes.net.running("t3.micro");
    let eni = routes.net.enis_of(&instance).remove(0);
    let (box_, gateway) = (format!("&NetworkInterfaceId={eni}"), format!("&GatewayId={}", routes.gateway()));
    routes.create("10.0.2.0/24", &box_);
    let cases = [
        ("CreateRoute", "10.0.2.0/25", &box_, "InvalidParameterValue: Route destination doesn't match any subnet"),
        ("CreateRoute", "10.0.3.0/24", &box_, "InvalidParameterValue: Route destination doesn't match any subnet"),
        ("CreateRoute", "10.0.1.0/24", &gateway, "InvalidParameterValue: The destination CIDR block 10.0.1.0/24 is"),
        ("CreateRoute", "10.0.0.0/16", &box_, "RouteAlreadyExists"),
        ("ReplaceRoute", "10.0.0.0/16", &gateway, "InvalidParameterValue"),
        ("DeleteRoute", "10.0.0.0/16", &gateway, "UnknownParameter"),
    ];
    for (action, to, rest, want) in cases {
        let form = routes.form(action, to, rest);
        routes.net.lab.refuses(&[(&form, want)]);
    }
    let replace = routes.form("ReplaceRoute", "10.0.0.0/16", &box_);
    routes.net.lab.xml(&replace);
    let xml = routes.describe();
    assert_eq!(values(&xml, "destinationCidrBlock"), ["10.0.2.0/24", "10.0.0.0/16"]);
    assert_eq!(values(&xml, "origin"), ["CreateRoute", "CreateRouteTable"]);
    assert_eq!(values(&xml, "gatewayId").len(), 0);
    let (delete, both, local) = (
        routes.form("DeleteRoute", "10.0.0.0/16", ""),
        routes.form("ReplaceRoute", "10.0.0.0/16", &format!("&LocalTarget=true{box_}")),
        routes.form("ReplaceRoute", "10.0.0.0/16", "&LocalTarget=true"),
    );
    routes.net.lab.refuses(&[
        (&delete, "InvalidParameterValue: cannot remove local route 10.0.0.0/16"),
        (&both, "InvalidParameterCombination"),
    ]);
    routes.net.lab.xml(&local);
    assert_eq!(values(&routes.describe(), "gatewayId"), ["local"]);
}

#[test]
fn a_replaced_local_route_goes_with_its_block() {
    let mut routes = Routes::new();
    let instance = routes.net.running("t3.micro");
    let eni = routes.net.enis_of(&instance).remove(0);
    let add = format!("Action=AssociateVpcCidrBlock&VpcId={}&CidrBlock=10.1.0.0/16", routes.net.vpc);
    let association = routes.net.lab.get(&add, "associationId");
    let replace = routes.form("ReplaceRoute", "10.1.0.0/16", &format!("&NetworkInterfaceId={eni}"));
    routes.net.lab.xml(&replace);
    assert_eq!(values(&routes.describe(), "destinationCidrBlock").len(), 2);
    routes.net.lab.xml(&format!("Action=DisassociateVpcCidrBlock&AssociationId={association}"));
    assert_eq!(values(&routes.describe(), "destinationCidrBlock"), ["10.0.0.0/16"]);
}

#[test]
fn a_gateways_table_leads_into_the_vpc_alone() {
    let mut routes = Routes::new();
    let instance = routes.net.running("t3.micro");
    let eni = routes.net.enis_of(&instance).remove(0);
    let gateway = routes.gateway();
    let box_ = format!("&NetworkInterfaceId={eni}");
    let associate = |table: &str| format!("Action=AssociateRouteTable&RouteTableId={table}&GatewayId={gateway}");
    let to_gateway = associate(&routes.table);
    let id = routes.net.lab.get(&to_gateway, "associationId");
    assert_eq!(routes.net.lab.get(&to_gateway, "associationId"), id, "asking again changes nothing");
    routes.create("10.0.2.0/24", &box_);
    let list = "Action=CreateManagedPrefixList&PrefixListName=a&AddressFamily=IPv4&MaxEntries=1";
    let list = routes.net.lab.get(list, "prefixListId");
    let second = routes.net.lab.get(&format!("Action=CreateRouteTable&VpcId={}", routes.net.vpc), "routeTableId");
    let main = routes.net.lab.get(
        &format!(
            "Action=DescribeRouteTables&Filter.1.Name=association.main&Filter.1.Value.1=true&Filter.2.Name=vpc-id\
             &Filter.2.Value.1={}",
            routes.net.vpc
        ),
        "routeTableId",
    );
    let main_association =
        routes.net.lab.get(&format!("Action=DescribeRouteTables&RouteTableId.1={main}"), "routeTableAssociationId");
    let (outside, by_gateway, by_list, from_main, become_main, both, twice) = (
        routes.form("CreateRoute", "0.0.0.0/0", &box_),
        routes.form("CreateRoute", "0.0.0.0/0", &format!("&GatewayId={gateway}")),
        routes.form("CreateRoute", &list, &box_),
        associate(&main),
        format!("Action=ReplaceRouteTableAssociation&AssociationId={main_association}&RouteTableId={}", routes.table),
        format!("{to_gateway}&SubnetId={}", routes.net.subnet),
        associate(&second),
    );
    let delete = format!("Action=DeleteRouteTable&RouteTableId={}", routes.table);
    routes.net.lab.refuses(&[
        (&outside, "InvalidParameterValue"),
        (&by_gateway, "InvalidParameterValue"),
        (&by_list, "InvalidParameterValue"),
        (&from_main, "InvalidParameterValue"),
        (&become_main, "InvalidParameterValue"),
        (&both, "InvalidParameterCombination"),
        (&twice, "Resource.AlreadyAssociated"),
        (&delete, "DependencyViolation"),
    ]);
    let by_filter =
        format!("Action=DescribeRouteTables&Filter.1.Name=association.gateway-id&Filter.1.Value.1={gateway}");
    assert_eq!(routes.net.lab.all(&by_filter, "routeTableId")[0], routes.table);
    let replace = |id: &str| format!("Action=ReplaceRouteTableAssociation&AssociationId={id}&RouteTableId={second}");
    let moved = routes.net.lab.get(&replace(&id), "newAssociationId");
    assert_eq!(routes.net.lab.all(&by_filter, "routeTableId")[0], second);
    // A table with a route that a gateway's can't have does not become one.
    routes.create("0.0.0.0/0", &format!("&GatewayId={gateway}"));
    let back = format!("Action=ReplaceRouteTableAssociation&AssociationId={moved}&RouteTableId={}", routes.table);
    routes.net.lab.refuses(&[(&back, "InvalidParameterValue")]);
    routes.net.lab.xml(&format!("Action=DisassociateRouteTable&AssociationId={moved}"));
    assert_eq!(routes.net.lab.all(&by_filter, "routeTableId").len(), 0);
    routes.net.lab.xml(&associate(&second));
    let vpc = routes.net.vpc.clone();
    routes.net.lab.xml(&format!("Action=DetachInternetGateway&InternetGatewayId={gateway}&VpcId={vpc}"));
    assert_eq!(routes.net.lab.all(&by_filter, "routeTableId").len(), 0, "its table goes with the gateway");
}

#[test]
fn a_prefix_list_counts_as_many_routes_as_it_may_have_entries() {
    let mut routes = Routes::new();
    let gateway = format!("&GatewayId={}", routes.gateway());
    let list =
        |family: &str| format!("Action=CreateManagedPrefixList&PrefixListName=a&AddressFamily={family}&MaxEntries=3");
    let (ipv4, ipv6) =
        (routes.net.lab.get(&list("IPv4"), "prefixListId"), routes.net.lab.get(&list("IPv6"), "prefixListId"));
    routes.net.lab.settings.quotas.routes_per_table = 3;
    routes.create(&ipv4, &gateway);
    routes.create(&ipv6, &gateway);
    let (more, again) = (routes.form("CreateRoute", "1.0.0.0/8", &gateway), routes.form("DeleteRoute", &ipv4, ""));
    routes.net.lab.refuses(&[(&more, "RouteLimitExceeded: The maximum number of routes has been reached.")]);
    let xml = routes.describe();
    assert_eq!(values(&xml, "destinationPrefixListId"), [ipv4.clone(), ipv6]);
    let by_list =
        format!("Action=DescribeRouteTables&Filter.1.Name=route.destination-prefix-list-id&Filter.1.Value.1={ipv4}");
    assert_eq!(routes.net.lab.get(&by_list, "routeTableId"), routes.table);
    routes.net.lab.xml(&again);
    assert_eq!(
        routes.net.lab.refusal(&again),
        format!(
            "InvalidRoute.NotFound: no route with destination-prefix-list-id {ipv4} in route table {}",
            routes.table
        )
    );
}
