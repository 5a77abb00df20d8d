//! The regions' ways to the outside, in a namespace that plays the laptop.

use gp_agent::{UplinkConfig, Way, check_region};
use gp_linux::{Links, NetNs, Route};
use gp_model::{PublicPools, Region};

pub fn a_region_whose_addresses_are_routed_elsewhere_is_refused() {
    let laptop = NetNs::new_unpinned().unwrap();
    let links = Links::open(&laptop).unwrap();
    let (vpn, _) = links.ensure_local_veth("vpn0", "vpn1", 1500).unwrap();
    let pools = PublicPools::new(Region::new("us-east-1"));
    let taken = Region::new("eu-west-1");
    let destination = pools.of(&taken)[0].into();
    links.ensure_routes(vpn.ifindex, &[Route { destination, gateway: None, source: None }]).unwrap();
    let uplink = UplinkConfig { pools, way: Way::Host { internet: false } };
    let check = |region: &Region| laptop.run(|| check_region("test", &uplink, region)).unwrap();
    let refused = check(&taken).unwrap_err();
    assert!(refused.contains("dev vpn0") && refused.contains("--public-pool eu-west-1=CIDR"), "{refused}");
    for free in ["us-east-1", "eu-central-1"] {
        assert_eq!(check(&Region::new(free)), Ok(()), "{free}");
    }
}
