//! VPCs with blocks of pools of the operator's own.

use crate::testing::{Lab, values};
use gp_model::Region;

const CREATE: &str = "Action=CreateVpc&CidrBlock=10.0.0.0/16";

/// A region with a pool, and the pool's id.
fn with_pool(block: &str) -> (Lab, String) {
    let mut lab = Lab::new();
    lab.settings.quotas.vpcs = 20;
    lab.settings.public_pool.bring_ipv6(Region::new("us-east-1"), block.parse().unwrap());
    let id = lab.get("Action=DescribeIpv6Pools", "poolId");
    (lab, id)
}

#[test]
fn a_vpc_takes_the_block_that_it_asks_for_and_shows_whose_it_is() {
    let (mut lab, id) = with_pool("2001:db8:f00::/48");
    let made = lab.xml(&format!("{CREATE}&Ipv6Pool={id}&Ipv6CidrBlock=2001:db8:f00:ab12::/56"));
    let vpc = values(&made, "vpcId").remove(0);
    let shown = lab
        .xml(&format!("Action=DescribeVpcs&Filter.1.Name=ipv6-cidr-block-association.ipv6-pool&Filter.1.Value.1={id}"));
    for (element, wanted) in [
        ("vpcId", vpc.as_str()),
        ("ipv6CidrBlock", "2001:db8:f00:ab00::/56"),
        ("ipv6Pool", &id),
        ("ipSource", "byoip"),
        ("ipv6AddressAttribute", "public"),
        ("networkBorderGroup", "us-east-1"),
    ] {
        assert_eq!(values(&shown, element), [wanted], "{element}");
    }
    let associated = lab.xml(&format!("Action=GetAssociatedIpv6PoolCidrs&PoolId={id}"));
    assert_eq!(values(&associated, "ipv6Cidr"), ["2001:db8:f00:ab00::/56"]);
    assert_eq!(values(&associated, "associatedResource"), [vpc.as_str()]);
    let amazons = lab.xml(&format!("{CREATE}&AmazonProvidedIpv6CidrBlock=true"));
    assert_eq!(
        (values(&amazons, "ipSource"), values(&amazons, "ipv6Pool")),
        (vec!["amazon".into()], vec!["Amazon".into()])
    );
    assert_eq!(lab.all(&format!("Action=GetAssociatedIpv6PoolCidrs&PoolId={id}"), "ipv6Cidr").len(), 1);
    let subnet = format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.0.1.0/24&Ipv6CidrBlock=2001:db8:f00:ab07::/64");
    assert_eq!(lab.get(&subnet, "ipv6CidrBlock"), "2001:db8:f00:ab07::/64");
}

#[test]
fn a_pool_gives_any_free_block_until_none_is_left_and_takes_it_back() {
    let (mut lab, id) = with_pool("2001:db8:f00:a000::/54");
    let any = format!("{CREATE}&Ipv6Pool={id}");
    let mut made: Vec<_> = (0..4).map(|_| lab.xml(&any)).collect();
    let mut blocks: Vec<_> = made.iter().flat_map(|xml| values(xml, "ipv6CidrBlock")).collect();
    blocks.sort();
    let expected = ["a0", "a1", "a2", "a3"].map(|part| format!("2001:db8:f00:{part}00::/56"));
    assert_eq!(blocks, expected);
    let vpcs = lab.world.tables().vpcs.len();
    assert!(lab.refusal(&any).starts_with("InsufficientAddressCapacity: "));
    assert_eq!(lab.world.tables().vpcs.len(), vpcs, "a refusal leaves nothing");

    let last = made.remove(3);
    let (association, block) = (values(&last, "associationId").remove(0), values(&last, "ipv6CidrBlock").remove(0));
    lab.xml(&format!("Action=DisassociateVpcCidrBlock&AssociationId={association}"));
    let vpc = values(&last, "vpcId").remove(0);
    let taken = lab.xml(&format!("Action=AssociateVpcCidrBlock&VpcId={vpc}&Ipv6Pool={id}&Ipv6CidrBlock={block}"));
    assert_eq!(values(&taken, "ipv6CidrBlock"), [block.as_str()]);
    assert_eq!(values(&taken, "ipSource"), ["byoip"]);
    lab.xml(&format!("Action=DeleteVpc&VpcId={vpc}"));
    assert_eq!(lab.get(&any, "ipv6CidrBlock"), block);
}

#[test]
fn small_pools_give_what_they_have() {
    let (mut lab, id) = with_pool("2001:db8:f00:aff0::/60");
    assert_eq!(lab.get(&format!("{CREATE}&Ipv6Pool={id}"), "ipv6CidrBlock"), "2001:db8:f00:aff0::/60");
}

#[test]
fn blocks_that_a_vpc_cannot_have_are_refused() {
    let (mut lab, id) = with_pool("2001:db8:f00::/44");
    let of_pool = |block: &str| format!("{CREATE}&Ipv6Pool={id}&Ipv6CidrBlock={block}");
    let vpc = lab.get(&of_pool("2001:db8:f00::/48"), "vpcId");
    let vpcs = lab.world.tables().vpcs.len();
    let no_such = "ipv6pool-ec2-0123456789abcdef0";
    lab.refuses(&[
        (&of_pool("2001:db8:f00:ab00::/56"), "InvalidCidr.InUse: The CIDR '2001:db8:f00:ab00::/56' conflicts with"),
        (&of_pool("2001:db8:f00::/44"), "InvalidCidr.InUse: "),
        (&of_pool("2001:db8:f10::/56"), "InvalidParameterValue: Value (2001:db8:f10::/56) for parameter ipv6CidrBlock"),
        (&of_pool("2001:db8:f01::/50"), "InvalidVpc.Range: The CIDR '2001:db8:f01::/50' is invalid."),
        (&of_pool("2001:db8:f00::/40"), "InvalidVpc.Range: "),
        (&of_pool("2001:db8:f01::/64"), "InvalidVpc.Range: "),
        (&of_pool("10.0.0.0/16"), "InvalidParameterValue: "),
        (
            &format!("{CREATE}&Ipv6Pool={no_such}"),
            &format!("InvalidIpv6PoolID.NotFound: The IPv6 pool ID '{no_such}' does not exist"),
        ),
        (&format!("{CREATE}&Ipv6CidrBlock=2001:db8:f01::/56"), "MissingParameter: "),
        (&format!("{CREATE}&Ipv6Pool=Amazon&Ipv6CidrBlock=3fff::/56"), "InvalidParameterCombination: "),
        (&format!("{CREATE}&Ipv6Pool={id}&AmazonProvidedIpv6CidrBlock=true"), "InvalidParameterCombination: "),
        (&format!("{CREATE}&Ipv6Pool={id}&Ipv6CidrBlockNetworkBorderGroup=us-east-1"), "InvalidParameterCombination: "),
        (&format!("Action=DescribeIpv6Pools&PoolId.1={no_such}"), "InvalidIpv6PoolID.NotFound: "),
        (&format!("Action=GetAssociatedIpv6PoolCidrs&PoolId={no_such}"), "InvalidIpv6PoolID.NotFound: "),
        ("Action=GetAssociatedIpv6PoolCidrs", "MissingParameter"),
        ("Action=DescribeIpv6Pools&Filter.1.Name=colour&Filter.1.Value.1=red", "InvalidParameterValue: "),
    ]);
    assert_eq!(lab.world.tables().vpcs.len(), vpcs);
    let add = format!("Action=AssociateVpcCidrBlock&VpcId={vpc}");
    lab.refuses(&[
        (&format!("{add}&Ipv6Pool={id}&CidrBlock=10.1.0.0/16"), "InvalidParameterCombination: "),
        (&format!("{add}&Ipv6Pool={id}&Ipv6CidrBlock=2001:db8:f00:1000::/56"), "InvalidCidr.InUse: "),
        (&format!("{add}&Ipv6Pool={no_such}"), "InvalidIpv6PoolID.NotFound: "),
    ]);
}

#[test]
fn pools_are_described_page_by_page_and_belong_to_one_region() {
    let (mut lab, first) = with_pool("2001:db8:f00::/48");
    lab.settings.public_pool.bring_ipv6(Region::new("us-east-1"), "2001:db8:f01::/48".parse().unwrap());
    let mut ids = lab.all("Action=DescribeIpv6Pools", "poolId");
    ids.sort();
    assert_eq!(ids.len(), 2);
    let page = lab.xml("Action=DescribeIpv6Pools&MaxResults=1");
    assert_eq!(values(&page, "poolId"), [ids[0].as_str()]);
    let token = values(&page, "nextToken").remove(0);
    let page = lab.xml(&format!("Action=DescribeIpv6Pools&MaxResults=1&NextToken={token}"));
    assert_eq!((values(&page, "poolId"), values(&page, "nextToken").len()), (vec![ids[1].clone()], 0));
    let shown = lab.xml(&format!("Action=DescribeIpv6Pools&PoolId.1={first}"));
    assert_eq!(values(&shown, "poolCidrBlock"), ["2001:db8:f00::/48"]);
    let tagged = "Action=DescribeIpv6Pools&Filter.1.Name=tag-key&Filter.1.Value.1=x";
    assert!(lab.all(tagged, "poolId").is_empty(), "nobody can tag one");
    let mut elsewhere = Lab::in_region("eu-west-1");
    elsewhere.settings = lab.settings.clone();
    assert!(elsewhere.all("Action=DescribeIpv6Pools", "poolId").is_empty());
}

#[test]
fn a_pool_that_is_taken_away_is_named_by_what_was_given() {
    let (mut lab, id) = with_pool("2001:db8:f00::/48");
    assert_eq!(lab.settings.public_pool.lost_ipv6_block(&lab.world), None);
    let vpc = lab.get(&format!("{CREATE}&Ipv6Pool={id}&Ipv6CidrBlock=2001:db8:f00:ab00::/56"), "vpcId");
    lab.xml(&format!("{CREATE}&AmazonProvidedIpv6CidrBlock=true"));
    assert_eq!(lab.settings.public_pool.lost_ipv6_block(&lab.world), None);
    // Another pool with the same block in it is not the same.
    lab.settings.public_pool = gp_model::PublicPools::new(Region::new("us-east-1"));
    lab.settings.public_pool.bring_ipv6(Region::new("us-east-1"), "2001:db8:f00::/44".parse().unwrap());
    let lost = lab.settings.public_pool.lost_ipv6_block(&lab.world).unwrap();
    assert_eq!(lost.vpc.to_string(), vpc);
    assert_eq!(lost.block.to_string(), "2001:db8:f00:ab00::/56");
    assert_eq!(lost.pool, Some("2001:db8:f00::/48".parse().unwrap()));
}
