//! What a call costs in a small region and in a large one, in allocations, which no busy machine can blur. What is read or
//! changed must cost what it is and not what there is; only the paths of the persistent maps get longer, by a node each time
//! that there is sixteen times as much.

use gp_actions::{Caller, Settings, plan};
use gp_ec2::{decode_form, encode_reply};
use gp_model::{Region, Timestamp, World};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// Network interfaces of the two regions, beside a security group each.
const FEW: usize = 256;
const MANY: usize = 4096;
/// For what lists, a page of so many.
const PAGE: usize = 100;

/// What each call may allocate in the larger region. A limit is what it cost when it was set and a little more; raise one
/// only with the reason why.
const LIMITS: [(&str, u64); 7] = [
    ("CreateNetworkInterface", 110),
    ("DescribeNetworkInterfaces by id", 55),
    ("DescribeNetworkInterfaces, a page of a subnet", 26 * PAGE as u64),
    ("AuthorizeSecurityGroupIngress", 110),
    ("CreateSecurityGroup", 125),
    ("DescribeSecurityGroupRules of a group", 80),
    ("DescribeSecurityGroupRules by id", 50),
];

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what the calling thread allocates.
struct Counting;

fn note() {
    // A thread that ends may allocate after its own values are gone.
    let _ = ALLOCATIONS.try_with(|all| all.set(all.get() + 1));
}

// SAFETY: everything is the system's allocator, which is told exactly what we are told; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(at, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One caller's region.
struct Place {
    world: World,
    caller: Caller,
    settings: Settings,
    last_id: u128,
}

impl Place {
    /// A region with so many network interfaces in one subnet, and as many groups.
    fn with(count: usize) -> (Self, [String; 3]) {
        let region = Region::new("eu-central-1");
        let account = "111122223333".parse().unwrap();
        let caller = Caller { account, principal: "111122223333".to_owned(), region: region.clone() };
        let mut settings = Settings::default();
        settings.quotas.enis = 2 * MANY;
        settings.quotas.security_groups = 2 * MANY;
        let mut place = Self { world: World::new(region), caller, settings, last_id: 0 };
        let vpc = place.made("CreateVpc&CidrBlock=10.0.0.0/16", "vpcId");
        let subnet = place.made(&format!("CreateSubnet&VpcId={vpc}&CidrBlock=10.0.0.0/16"), "subnetId");
        for number in 0..count {
            place.call(&format!("CreateNetworkInterface&SubnetId={subnet}"));
            place.call(&format!("CreateSecurityGroup&VpcId={vpc}&GroupName=g{number}&GroupDescription=g"));
        }
        let group = place.made(&format!("CreateSecurityGroup&VpcId={vpc}&GroupName=g&GroupDescription=g"), "groupId");
        (place, [vpc, subnet, group])
    }

    /// Carries a call out, and gives the document that answers it.
    fn call(&mut self, form: &str) -> String {
        let request = decode_form(format!("Action={form}").as_bytes()).unwrap();
        let last_id = &mut self.last_id;
        let mut ids = || {
            // In no order, as random ones are.
            *last_id += 1;
            last_id.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        };
        let plan = plan(&self.world, &self.caller, &request, Timestamp(1), &mut ids, &self.settings)
            .unwrap_or_else(|error| panic!("{form}: {error}"));
        plan.changes.into_iter().for_each(|change| self.world.apply(change));
        encode_reply(&plan.reply, "r")
    }

    fn made(&mut self, form: &str, element: &str) -> String {
        let document = self.call(form);
        let (_, rest) = document.split_once(&format!("<{element}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    }

    /// What each of the calls allocates, as in [`LIMITS`].
    fn costs(&mut self, [vpc, subnet, group]: &[String; 3]) -> Vec<u64> {
        let eni = self.made(&format!("CreateNetworkInterface&SubnetId={subnet}"), "networkInterfaceId");
        let rules = format!("DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1={group}");
        let rule = self.made(&rules, "securityGroupRuleId");
        let calls = [
            format!("CreateNetworkInterface&SubnetId={subnet}"),
            format!("DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}"),
            format!("DescribeNetworkInterfaces&Filter.1.Name=subnet-id&Filter.1.Value.1={subnet}&MaxResults={PAGE}"),
            format!(
                "AuthorizeSecurityGroupIngress&GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80\
                 &IpPermissions.1.ToPort=80&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8"
            ),
            format!("CreateSecurityGroup&VpcId={vpc}&GroupName=another&GroupDescription=g"),
            rules,
            format!("DescribeSecurityGroupRules&SecurityGroupRuleId.1={rule}"),
        ];
        let cost = |form: &String| {
            let before = ALLOCATIONS.get();
            black_box(self.call(form));
            ALLOCATIONS.get() - before
        };
        calls.iter().map(cost).collect()
    }
}

#[test]
fn a_call_costs_what_it_does_and_not_what_there_is() {
    let [few, many] = [FEW, MANY].map(|count| {
        let (mut place, names) = Place::with(count);
        place.costs(&names)
    });
    for (((call, limit), few), many) in LIMITS.into_iter().zip(few).zip(many) {
        println!("{call}: {few} allocations beside {FEW} ENIs and groups, {many} beside {MANY}");
        assert!(many <= limit, "{call}: {many} allocations, not {limit}");
        // A node more on each path that is copied, of which there are two a call.
        assert!(
            many <= few + few / 4 + 20,
            "{call}: {many} allocations instead of {few}, beside sixteen times as much"
        );
    }
}
