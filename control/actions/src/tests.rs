//! Tests of the frame: first calls, dry runs, client tokens, pages, owners.

use crate::testing::{Lab, values};
use crate::{plan_expiry, plan_provision, plan_reset};
use gp_model::Timestamp;

#[test]
fn a_first_call_brings_the_default_vpc_once() {
    let mut lab = Lab::new();
    let vpc = lab.get("Action=DescribeVpcs&Filter.1.Name=is-default&Filter.1.Value.1=true", "vpcId");
    assert_eq!(lab.all("Action=DescribeVpcs", "cidrBlock").first().map(String::as_str), Some("172.31.0.0/16"));
    assert_eq!(lab.all("Action=DescribeSubnets", "subnetId").len(), 6);
    let tables = lab.xml("Action=DescribeRouteTables");
    let gateways = values(&tables, "gatewayId");
    assert!(gateways[0] == "local" && gateways[1].starts_with("igw-"), "{tables}");
    assert_eq!(values(&tables, "state"), ["associated", "active", "active"]);
    assert_eq!(lab.get("Action=DescribeInternetGateways", "state"), "available");
    let options = lab.xml("Action=DescribeDhcpOptions");
    assert!(options.contains("ec2.internal") && options.contains("AmazonProvidedDNS"), "{options}");
    assert_eq!(lab.get("Action=DescribeAccountAttributes&AttributeName.1=default-vpc", "attributeValue"), vpc);
    let dns = format!("Action=DescribeVpcAttribute&VpcId={vpc}&Attribute=enableDnsHostnames");
    assert_eq!(lab.get(&dns, "value"), "true");
    assert!(lab.refusal("Action=CreateDefaultVpc").starts_with("DefaultVpcAlreadyExists"));
}

#[test]
fn an_account_can_be_provided_for_before_its_first_call() {
    let mut lab = Lab::new();
    let mut next = 1000;
    let mut ids = || {
        next += 1;
        next
    };
    let changes = plan_provision(&lab.world, &lab.caller, lab.now, &mut ids, &lab.settings);
    lab.apply(changes);
    let records = lab.world.tables().records().count();
    assert_eq!(lab.all("Action=DescribeVpcs", "isDefault"), ["true"]);
    assert_eq!(lab.world.tables().records().count(), records);
    assert!(plan_provision(&lab.world, &lab.caller, lab.now, &mut ids, &lab.settings).is_empty());
}

#[test]
fn a_reset_takes_everything_and_the_next_call_is_a_first_one() {
    let mut lab = Lab::new();
    lab.xml("Action=CreateVpc&CidrBlock=10.0.0.0/16");
    let other = lab.caller.account;
    lab.caller.account = "999999999999".parse().unwrap();
    lab.xml("Action=CreateVpc&CidrBlock=10.0.0.0/16");
    let changes = plan_reset(&lab.world, other);
    lab.apply(changes);
    assert!(lab.world.tables().vpcs.values().all(|vpc| vpc.owner == lab.caller.account));
    assert_eq!(lab.all("Action=DescribeVpcs", "vpcId").len(), lab.world.tables().vpcs.len());
    lab.caller.account = other;
    assert_eq!(lab.all("Action=DescribeSubnets", "defaultForAz").len(), 6);
}

#[test]
fn accounts_do_not_see_each_other() {
    let mut lab = Lab::new();
    let vpc = lab.get("Action=CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
    lab.caller.account = "999999999999".parse().unwrap();
    lab.refuses(&[
        (&format!("Action=DescribeVpcs&VpcId.1={vpc}"), "InvalidVpcID.NotFound"),
        (&format!("Action=DeleteVpc&VpcId={vpc}"), "InvalidVpcID.NotFound"),
        (&format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.0.0.0/24"), "InvalidVpcID.NotFound"),
        (&format!("Action=CreateTags&ResourceId.1={vpc}&Tag.1.Key=a&Tag.1.Value=b"), "InvalidVpcID.NotFound"),
    ]);
    assert_eq!(lab.all("Action=DescribeVpcs", "isDefault"), ["true"]);
}

#[test]
fn the_caller_is_told_who_it_is() {
    let mut lab = Lab::new();
    let xml = lab.xml("Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(values(&xml, "Account"), ["111122223333"]);
    assert_eq!(values(&xml, "Arn"), ["arn:aws:iam::111122223333:root"]);
    assert_eq!(lab.world.tables().records().count(), 0, "asking STS is no call of the region");
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut lab = Lab::new();
    lab.xml("Action=DescribeVpcs");
    let before = lab.world.tables().records().count();
    let refusal = lab.refusal("Action=CreateVpc&CidrBlock=10.0.0.0/16&DryRun=true");
    assert_eq!(refusal, "DryRunOperation: Request would have succeeded, but DryRun flag is set.");
    assert_eq!(lab.world.tables().records().count(), before);
}

#[test]
fn a_client_token_makes_one_thing_once() {
    let mut lab = Lab::new();
    let vpc = lab.get("Action=DescribeVpcs", "vpcId");
    let form = format!("Action=CreateRouteTable&VpcId={vpc}&ClientToken=t1");
    let first = lab.get(&form, "routeTableId");
    assert_eq!(lab.get(&form, "routeTableId"), first);
    assert_eq!(lab.get(&form, "clientToken"), "t1");
    let tagged = format!(
        "{form}&TagSpecification.1.ResourceType=route-table&TagSpecification.1.Tag.1.Key=a&\
         TagSpecification.1.Tag.1.Value=b"
    );
    assert!(lab.refusal(&tagged).starts_with("IdempotentParameterMismatch"));
    assert!(lab.refusal(&format!("{form}&DryRun=true")).starts_with("DryRunOperation"));
    let other = format!("Action=CreateRouteTable&VpcId={vpc}&ClientToken=t2");
    assert_ne!(lab.get(&other, "routeTableId"), first);
    let long = format!("Action=CreateRouteTable&VpcId={vpc}&ClientToken={}", "x".repeat(65));
    assert!(lab.refusal(&long).starts_with("InvalidParameterValue"));

    assert!(plan_expiry(&lab.world, lab.now).is_empty());
    lab.now = Timestamp(lab.now.0 + 24 * 3600 * 1000);
    let expired = plan_expiry(&lab.world, lab.now);
    assert_eq!(expired.len(), 2);
    lab.apply(expired);
    assert_ne!(lab.get(&form, "routeTableId"), first);
}

#[test]
fn pages_cover_everything_also_when_items_go_in_between() {
    let mut lab = Lab::new();
    lab.settings.quotas.vpcs = 100;
    for _ in 0..12 {
        lab.xml("Action=CreateVpc&CidrBlock=10.0.0.0/16");
    }
    let all = lab.all("Action=DescribeVpcs", "vpcId");
    assert_eq!(all.len(), 13);
    let mut seen = Vec::new();
    let mut form = "Action=DescribeVpcs&MaxResults=5".to_owned();
    loop {
        let xml = lab.xml(&form);
        let page = values(&xml, "vpcId");
        assert!(page.len() <= 5);
        // The item that the token was made from goes away.
        if let Some(last) = page.last().filter(|last| **last != all[0]) {
            lab.xml(&format!("Action=DeleteVpc&VpcId={last}"));
        }
        seen.extend(page);
        let Some(token) = values(&xml, "nextToken").into_iter().next() else { break };
        form = format!("Action=DescribeVpcs&MaxResults=5&NextToken={token}");
    }
    assert_eq!(seen, all);
}

#[test]
fn bad_pages_are_refused() {
    let mut lab = Lab::new();
    let token = {
        let xml = lab.xml("Action=DescribeSubnets&MaxResults=5");
        values(&xml, "nextToken")[0].clone()
    };
    let vpc = lab.get("Action=DescribeVpcs", "vpcId");
    lab.refuses(&[
        ("Action=DescribeVpcs&MaxResults=2", "InvalidParameterValue: Value ( 2 ) for parameter maxResults is invalid."),
        ("Action=DescribeVpcs&MaxResults=1001", "InvalidParameterValue"),
        ("Action=DescribeVpcs&NextToken=abc", "InvalidNextToken: The token 'abc' is invalid"),
        (&format!("Action=DescribeVpcs&MaxResults=5&NextToken={token}"), "InvalidNextToken"),
        (&format!("Action=DescribeVpcs&VpcId.1={vpc}&MaxResults=5"), "InvalidParameterCombination"),
    ]);
    assert_eq!(lab.all(&format!("Action=DescribeSubnets&NextToken={token}"), "subnetId").len(), 1);
}

#[test]
fn too_many_filters_are_refused() {
    let mut lab = Lab::new();
    let filters: String = (1..=51).map(|i| format!("&Filter.{i}.Name=vpc-id&Filter.{i}.Value.1=a")).collect();
    assert!(lab.refusal(&format!("Action=DescribeVpcs{filters}")).starts_with("FilterLimitExceeded"));
}

#[test]
fn every_documented_filter_of_these_listings_is_accepted() {
    let mut lab = Lab::new();
    for action in [
        "DescribeVpcs",
        "DescribeSubnets",
        "DescribeRouteTables",
        "DescribeNetworkAcls",
        "DescribeInternetGateways",
        "DescribeEgressOnlyInternetGateways",
        "DescribeNatGateways",
        "DescribeAddresses",
        "DescribeDhcpOptions",
        "DescribeSecurityGroups",
        "DescribeSecurityGroupRules",
        "DescribeTags",
        "DescribeAvailabilityZones",
        "DescribeRegions",
    ] {
        for filter in gp_ec2::meta::meta(action).expect("a known action").filters {
            let name = if filter.name == "tag" { "tag:Name" } else { filter.name };
            lab.xml(&format!("Action={action}&Filter.1.Name={name}&Filter.1.Value.1=no-such-value"));
        }
        lab.refuses(&[(&format!("Action={action}&Filter.1.Name=x&Filter.1.Value.1=y"), "InvalidParameterValue")]);
    }
}

#[test]
fn zones_and_regions_are_described() {
    let mut lab = Lab::new();
    let xml = lab.xml("Action=DescribeAvailabilityZones&ZoneName.1=us-east-1a");
    for (element, want) in [
        ("zoneId", "use1-az6"),
        ("groupName", "us-east-1-zg-1"),
        ("groupLongName", "US East (N. Virginia) 1"),
        ("networkBorderGroup", "us-east-1"),
        ("optInStatus", "opt-in-not-required"),
        ("zoneState", "available"),
        ("zoneType", "availability-zone"),
    ] {
        assert_eq!(values(&xml, element), [want], "{xml}");
    }
    assert_eq!(lab.get("Action=DescribeAvailabilityZones&ZoneId.1=use1-az1", "zoneName"), "us-east-1b");
    assert_eq!(lab.all("Action=DescribeRegions", "regionName").len(), 17);
    assert_eq!(
        lab.get("Action=DescribeRegions&RegionName.1=eu-west-1", "regionEndpoint"),
        "ec2.eu-west-1.amazonaws.com"
    );
    assert!(lab.all("Action=DescribeRegions&AllRegions=true", "regionName").len() > 30);
    lab.refuses(&[
        ("Action=DescribeAvailabilityZones&ZoneName.1=us-east-1z", "InvalidParameterValue"),
        ("Action=DescribeRegions&RegionName.1=nowhere-1", "InvalidParameterValue"),
    ]);
    let mut home = Lab::in_region("home");
    assert!(home.all("Action=DescribeRegions", "regionName").contains(&"home".to_owned()));
}
