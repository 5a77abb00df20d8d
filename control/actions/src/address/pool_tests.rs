//! Addresses of pools that are asked for, and addresses that go to another account.

use crate::plan_expiry;
use crate::testing::{Lab, values};
use gp_model::Region;

const OTHER: &str = "444455556666";
const DAY: u64 = 24 * 3600;

/// A region with a pool of four addresses, and the pool's id.
fn with_pool() -> (Lab, String) {
    let mut lab = Lab::new();
    lab.settings.public_pool.bring(Region::new("us-east-1"), "203.0.113.0/30".parse().unwrap());
    let id = lab.get("Action=DescribePublicIpv4Pools", "poolId");
    (lab, id)
}

/// Goes on as the other of two accounts.
fn swap(lab: &mut Lab) {
    let other = if lab.caller.account.to_string() == OTHER { "111122223333" } else { OTHER };
    lab.caller.account = other.parse().unwrap();
    lab.caller.principal = other.to_owned();
}

#[test]
fn a_pool_is_described_with_what_is_left_of_it() {
    let (mut lab, id) = with_pool();
    let address = lab.get(&format!("Action=AllocateAddress&PublicIpv4Pool={id}"), "publicIp");
    let shown = lab.xml(&format!("Action=DescribePublicIpv4Pools&PoolId.1={id}"));
    for (element, wanted) in [
        ("firstAddress", "203.0.113.0"),
        ("lastAddress", "203.0.113.3"),
        ("addressCount", "4"),
        ("availableAddressCount", "3"),
        ("totalAddressCount", "4"),
        ("totalAvailableAddressCount", "3"),
        ("networkBorderGroup", "us-east-1"),
    ] {
        assert_eq!(values(&shown, element), [wanted], "{element}");
    }
    assert_eq!(lab.get("Action=DescribeAddresses", "publicIpv4Pool"), id);
    assert!(address.starts_with("203.0.113."));
    lab.refuses(&[
        (
            "Action=DescribePublicIpv4Pools&PoolId.1=ipv4pool-ec2-0123456789abcdef0",
            "InvalidPublicIpv4PoolID.NotFound: The pool ID 'ipv4pool-ec2-0123456789abcdef0' does not exist",
        ),
        ("Action=DescribePublicIpv4Pools&MaxResults=11", "InvalidParameterValue"),
    ]);
    let mut elsewhere = Lab::in_region("eu-west-1");
    elsewhere.settings = lab.settings.clone();
    assert!(elsewhere.all("Action=DescribePublicIpv4Pools", "poolId").is_empty());
}

#[test]
fn a_pool_gives_all_of_its_addresses_to_whoever_asks_and_none_to_others() {
    let (mut lab, id) = with_pool();
    lab.settings.quotas.addresses = 1;
    let first = lab.xml("Action=AllocateAddress&Address=203.0.113.3");
    assert_eq!(values(&first, "publicIp"), ["203.0.113.3"]);
    assert_eq!(values(&first, "publicIpv4Pool"), [id.as_str()]);
    let named = format!("Action=AllocateAddress&PublicIpv4Pool={id}&Address=");
    let any = lab.get("Action=AllocateAddress", "publicIp");
    assert!(any.starts_with("198.51.100."), "{any}");
    lab.refuses(&[
        (&format!("{named}203.0.113.3"), "InvalidIPAddress.InUse: Address 203.0.113.3 is in use."),
        (&format!("{named}198.51.100.77"), "InvalidAddress.NotFound: Address '198.51.100.77' not found."),
        ("Action=AllocateAddress&PublicIpv4Pool=amazon&Address=203.0.113.2", "InvalidAddress.NotFound"),
        ("Action=AllocateAddress&Address=198.51.100.77", "AddressLimitExceeded"),
        ("Action=AllocateAddress&PublicIpv4Pool=amazon", "AddressLimitExceeded"),
        ("Action=AllocateAddress&PublicIpv4Pool=ipv4pool-ec2-1", "InvalidPublicIpv4PoolID.NotFound"),
    ]);
    lab.xml(&format!("{named}203.0.113.0"));
    for _ in 0..2 {
        lab.xml(&format!("Action=AllocateAddress&PublicIpv4Pool={id}"));
    }
    let refusal = lab.refusal(&format!("Action=AllocateAddress&PublicIpv4Pool={id}"));
    assert_eq!(
        refusal,
        format!("InsufficientAddressCapacity: The pool {id}'s 4 public IPv4 addresses are all in use.")
    );
}

#[test]
fn an_address_goes_to_another_account_that_accepts_it() {
    let mut lab = Lab::new();
    let made =
        lab.xml("Action=AllocateAddress&TagSpecification.1.ResourceType=elastic-ip&TagSpecification.1.Tag.1.Key=a");
    let (id, public) = (values(&made, "allocationId").remove(0), values(&made, "publicIp").remove(0));
    let enable = format!("Action=EnableAddressTransfer&AllocationId={id}&TransferAccountId={OTHER}");
    let offered = lab.xml(&enable);
    assert_eq!(values(&offered, "addressTransferStatus"), ["pending"]);
    assert_eq!(values(&offered, "transferAccountId"), [OTHER]);
    assert_eq!(values(&lab.xml(&enable), "transferOfferExpirationTimestamp").len(), 1, "again is the same");
    assert_eq!(lab.get("Action=DescribeAddressTransfers", "publicIp"), public);

    let accept = format!("Action=AcceptAddressTransfer&Address={public}");
    assert!(lab.refusal(&accept).starts_with("InvalidAddress.NotFound"), "not by its owner");
    swap(&mut lab);
    assert!(lab.all("Action=DescribeAddressTransfers", "publicIp").is_empty(), "only its owner sees the offer");
    let tag = "&TagSpecification.1.ResourceType=elastic-ip&TagSpecification.1.Tag.1.Key=b";
    let accepted = lab.xml(&format!("{accept}{tag}"));
    assert_eq!(values(&accepted, "addressTransferStatus"), ["accepted"]);
    let mine = lab.xml("Action=DescribeAddresses");
    assert_eq!(values(&mine, "publicIp"), [public.as_str()]);
    assert_eq!(values(&mine, "key"), ["b"], "the tags are the new owner's");
    assert_eq!(values(&mine, "allocationId"), values(&accepted, "allocationId"));
    assert!(lab.refusal(&accept).starts_with("InvalidAddress.NotFound"), "once is enough");

    swap(&mut lab);
    assert!(lab.all("Action=DescribeAddresses", "publicIp").is_empty());
    let shown = lab.xml(&format!("Action=DescribeAddressTransfers&AllocationId.1={id}"));
    assert_eq!(
        (values(&shown, "addressTransferStatus"), values(&shown, "allocationId")),
        (vec!["accepted".into()], vec![id])
    );
    for (days, listed) in [(13, 1), (14, 0)] {
        lab.now = lab.now.plus_secs(DAY * if days == 13 { 13 } else { 1 });
        assert_eq!(lab.all("Action=DescribeAddressTransfers", "publicIp").len(), listed, "after {days} days");
    }
    let changes = plan_expiry(&lab.world, lab.now);
    lab.apply(changes);
    assert!(lab.world.tables().address_transfers.is_empty());
}

#[test]
fn an_offer_ends_after_seven_days_or_when_its_owner_says_so() {
    let mut lab = Lab::new();
    let made = lab.xml("Action=AllocateAddress");
    let (id, public) = (values(&made, "allocationId").remove(0), values(&made, "publicIp").remove(0));
    let enable = format!("Action=EnableAddressTransfer&AllocationId={id}&TransferAccountId={OTHER}");
    let disable = format!("Action=DisableAddressTransfer&AllocationId={id}");
    let accept = format!("Action=AcceptAddressTransfer&Address={public}");
    lab.xml(&enable);
    assert_eq!(lab.get(&disable, "addressTransferStatus"), "disabled");
    lab.refuses(&[
        (&disable, "IncorrectState"),
        (
            &format!("Action=DisableAddressTransfer&AllocationId={}", "eipalloc-0123456789abcdef0"),
            "InvalidAllocationID",
        ),
        (&enable.replace(OTHER, "111122223333"), "InvalidParameterValue"),
        (&enable.replace(OTHER, "12"), "InvalidParameterValue"),
        ("Action=DescribeAddressTransfers&AllocationId.1=eipalloc-0123456789abcdef0", "InvalidAllocationID.NotFound"),
    ]);
    lab.xml(&enable);
    assert!(lab.refusal(&enable.replace(OTHER, "777788889999")).starts_with("IncorrectState"));
    lab.now = lab.now.plus_secs(7 * DAY);
    swap(&mut lab);
    assert!(lab.refusal(&accept).starts_with("InvalidAddress.NotFound"));
    swap(&mut lab);
    assert!(lab.all("Action=DescribeAddressTransfers", "publicIp").is_empty());
    lab.xml(&enable);
    lab.xml(&format!("Action=ReleaseAddress&AllocationId={id}"));
    assert!(lab.world.tables().address_transfers.is_empty(), "the offer ends with the address");
}

#[test]
fn an_address_that_its_owner_uses_can_be_offered_but_not_accepted() {
    let mut net = crate::instance::testing::Net::new();
    let gateway = net.lab.get("Action=CreateInternetGateway", "internetGatewayId");
    net.lab.xml(&format!("Action=AttachInternetGateway&InternetGatewayId={gateway}&VpcId={}", net.vpc));
    let subnet = net.subnet.clone();
    let eni = net.eni(&subnet);
    let lab = &mut net.lab;
    let made = lab.xml("Action=AllocateAddress");
    let (id, public) = (values(&made, "allocationId").remove(0), values(&made, "publicIp").remove(0));
    lab.xml(&format!("Action=AssociateAddress&AllocationId={id}&NetworkInterfaceId={eni}"));
    lab.xml(&format!("Action=ModifyAddressAttribute&AllocationId={id}&DomainName=www.example.com"));
    lab.xml(&format!("Action=EnableAddressTransfer&AllocationId={id}&TransferAccountId={OTHER}"));
    let accept = format!("Action=AcceptAddressTransfer&Address={public}");
    swap(lab);
    assert!(lab.refusal(&accept).starts_with("InvalidTransfer.AddressAssociated: "));
    swap(lab);
    lab.xml(&format!("Action=DisassociateAddress&PublicIp={public}"));
    swap(lab);
    assert!(lab.refusal(&accept).starts_with("InvalidTransfer.AddressCustomPtrSet: "));
    swap(lab);
    lab.xml(&format!("Action=ResetAddressAttribute&AllocationId={id}&Attribute=domain-name"));
    swap(lab);
    lab.settings.quotas.addresses = 0;
    assert!(lab.refusal(&accept).starts_with("AddressLimitExceeded: "));
    lab.settings.quotas.addresses = 1;
    lab.xml(&accept);
}
