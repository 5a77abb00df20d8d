//! Managed prefix lists as callers see them: versions, sizes, and who names them.

use crate::testing::{Lab, values};

fn create(rest: &str) -> String {
    format!("Action=CreateManagedPrefixList&PrefixListName=offices&AddressFamily=IPv4&MaxEntries=3{rest}")
}

const TWO: &str = "&Entry.1.Cidr=203.0.113.9/24&Entry.1.Description=here&Entry.2.Cidr=10.0.0.0/8";

fn modify(list: &str, version: u32, rest: &str) -> String {
    format!("Action=ModifyManagedPrefixList&PrefixListId={list}&CurrentVersion={version}{rest}")
}

fn entries(lab: &mut Lab, list: &str, rest: &str) -> Vec<String> {
    lab.all(&format!("Action=GetManagedPrefixListEntries&PrefixListId={list}{rest}"), "cidr")
}

fn describe(lab: &mut Lab, list: &str, element: &str) -> String {
    lab.get(&format!("Action=DescribeManagedPrefixLists&PrefixListId.1={list}"), element)
}

#[test]
fn a_list_is_made_and_shown_as_recorded() {
    let mut lab = Lab::new();
    let tags = "&TagSpecification.1.ResourceType=prefix-list&TagSpecification.1.Tag.1.Key=a\
                &TagSpecification.1.Tag.1.Value=b&ClientToken=t";
    let form = create(&format!("{TWO}{tags}"));
    let xml = lab.xml(&form);
    let list = values(&xml, "prefixListId").remove(0);
    assert_eq!(values(&xml, "state"), ["create-in-progress"]);
    assert_eq!(values(&xml, "prefixListArn"), [format!("arn:aws:ec2:us-east-1:111122223333:prefix-list/{list}")]);
    let xml = lab.xml(&format!("Action=DescribeManagedPrefixLists&PrefixListId.1={list}"));
    for (element, value) in [
        ("state", "create-complete"),
        ("version", "1"),
        ("maxEntries", "3"),
        ("addressFamily", "IPv4"),
        ("prefixListName", "offices"),
        ("ownerId", "111122223333"),
        ("key", "a"),
    ] {
        assert_eq!(values(&xml, element), [value], "{element}");
    }
    assert_eq!(lab.get(&form, "prefixListId"), list, "the token is remembered");
    assert_eq!(entries(&mut lab, &list, ""), ["10.0.0.0/8", "203.0.113.0/24"]);
    let page = lab.xml(&format!("Action=GetManagedPrefixListEntries&PrefixListId={list}&MaxResults=1"));
    assert_eq!((values(&page, "cidr"), values(&page, "nextToken").len()), (vec!["10.0.0.0/8".to_owned()], 1));
    let rest = format!("&MaxResults=1&NextToken={}", values(&page, "nextToken")[0]);
    assert_eq!(entries(&mut lab, &list, &rest), ["203.0.113.0/24"]);
    let named = "Action=DescribeManagedPrefixLists&Filter.1.Name=prefix-list-name&Filter.1.Value.1=off*";
    assert_eq!(lab.all(named, "prefixListId"), [list.as_str()]);
    assert_eq!(lab.all("Action=DescribePrefixLists", "prefixListName"), ["offices"]);
    lab.xml(&format!("Action=CreateTags&ResourceId.1={list}&Tag.1.Key=x&Tag.1.Value=y"));
    assert_eq!(lab.all("Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=x", "resourceType"), ["prefix-list"]);
}

#[test]
fn bad_lists_are_refused() {
    let mut lab = Lab::new();
    let list = |name: &str, family: &str, max: &str, rest: &str| {
        format!("Action=CreateManagedPrefixList&PrefixListName={name}&AddressFamily={family}&MaxEntries={max}{rest}")
    };
    let many: String = (0..101).map(|i| format!("&Entry.{}.Cidr=10.0.{i}.0/24", i + 1)).collect();
    lab.refuses(&[
        (&list("a", "IPv5", "1", ""), "InvalidParameterValue: Value (IPv5) for parameter addressFamily"),
        (&list("a", "IPv4", "0", ""), "InvalidParameterValue"),
        (&list("a", "IPv4", "1001", ""), "InvalidParameterValue"),
        (&list("com.amazonaws.x", "IPv4", "1", ""), "InvalidParameterValue"),
        (&list(&"x".repeat(256), "IPv4", "1", ""), "InvalidParameterValue"),
        (&list("a", "IPv4", "1", TWO), "PrefixListMaxEntriesExceeded"),
        (&list("a", "IPv6", "2", TWO), "InvalidParameterValue"),
        (&list("a", "IPv4", "2", "&Entry.1.Cidr=10.0.0.1/8&Entry.2.Cidr=10.0.0.0/8"), "InvalidParameterValue"),
        (&list("a", "IPv4", "200", &many), "InvalidParameterValue: Value (101) for parameter entry is invalid."),
        ("Action=CreateManagedPrefixList&PrefixListName=a&AddressFamily=IPv4", "MissingParameter"),
        (
            "Action=GetManagedPrefixListEntries&PrefixListId=pl-00000000000000fff",
            "InvalidPrefixListID.NotFound: The prefix list ID 'pl-00000000000000fff' does not exist",
        ),
        ("Action=DeleteManagedPrefixList&PrefixListId=pl-x", "InvalidPrefixListId.Malformed"),
    ]);
    lab.settings.quotas.prefix_lists = 0;
    lab.refuses(&[(&create(""), "PrefixListLimitExceeded")]);
}

#[test]
fn other_entries_make_a_new_version_and_old_ones_can_be_restored() {
    let mut lab = Lab::new();
    let list = lab.get(&create(TWO), "prefixListId");
    let change = modify(&list, 1, "&AddEntry.1.Cidr=192.0.2.0/24&RemoveEntry.1.Cidr=10.0.0.0/8");
    let xml = lab.xml(&change);
    assert_eq!((values(&xml, "state"), values(&xml, "version")), (vec!["modify-in-progress".into()], vec!["2".into()]));
    assert_eq!(describe(&mut lab, &list, "state"), "modify-complete");
    assert_eq!(entries(&mut lab, &list, ""), ["192.0.2.0/24", "203.0.113.0/24"]);
    assert_eq!(entries(&mut lab, &list, "&TargetVersion=1"), ["10.0.0.0/8", "203.0.113.0/24"]);
    lab.xml(&modify(&list, 2, "&PrefixListName=sites"));
    lab.xml(&modify(&list, 2, "&MaxEntries=4"));
    assert_eq!(
        (describe(&mut lab, &list, "version"), describe(&mut lab, &list, "maxEntries")),
        ("2".into(), "4".into())
    );
    let restore = |previous: u32, current: u32| {
        format!(
            "Action=RestoreManagedPrefixListVersion&PrefixListId={list}&PreviousVersion={previous}\
             &CurrentVersion={current}"
        )
    };
    lab.refuses(&[
        (&change, "PrefixListVersionMismatch: The prefix list has the incorrect version number."),
        (&restore(1, 1), "PrefixListVersionMismatch"),
        (&restore(9, 2), "InvalidParameterValue"),
        (&modify(&list, 0, ""), "InvalidParameterValue: The specified value for version is not valid."),
        (
            &modify(&list, 2, "&AddEntry.1.Cidr=192.0.2.0/24&RemoveEntry.1.Cidr=192.0.2.0/24"),
            "InvalidParameterValue: Request cannot contain Cidr 192.0.2.0/24 in both AddPrefixListEntries and \
             RemovePrefixListEntries",
        ),
        (&modify(&list, 2, "&AddEntry.1.Cidr=192.0.2.0/24"), "InvalidRequest: The request received was invalid"),
        (&modify(&list, 2, "&RemoveEntry.1.Cidr=10.0.0.0/8"), "InvalidParameterValue"),
        (&modify(&list, 2, "&AddEntry.1.Cidr=1.0.0.0/8&MaxEntries=9"), "InvalidParameterCombination"),
        (&modify(&list, 2, "&MaxEntries=1"), "PrefixListMaxEntriesExceeded"),
        (
            &modify(&list, 2, "&AddEntry.1.Cidr=1.0.0.0/8&AddEntry.2.Cidr=2.0.0.0/8&AddEntry.3.Cidr=3.0.0.0/8"),
            "PrefixListMaxEntriesExceeded",
        ),
    ]);
    assert_eq!(lab.get(&restore(1, 2), "version"), "3");
    assert_eq!(describe(&mut lab, &list, "state"), "restore-complete");
    assert_eq!(entries(&mut lab, &list, ""), ["10.0.0.0/8", "203.0.113.0/24"]);
}

#[test]
fn the_oldest_version_makes_room() {
    let mut lab = Lab::new();
    lab.settings.quotas.versions_per_prefix_list = 2;
    let list = lab.get(&create(""), "prefixListId");
    for version in 1..=2 {
        lab.xml(&modify(&list, version, &format!("&AddEntry.1.Cidr={version}.0.0.0/8")));
    }
    assert_eq!(entries(&mut lab, &list, "&TargetVersion=2"), ["1.0.0.0/8"]);
    let oldest = format!("Action=GetManagedPrefixListEntries&PrefixListId={list}&TargetVersion=1");
    lab.refuses(&[(&oldest, "InvalidParameterValue")]);
}

/// A list of three entries, named by a route of the default VPC's table and a rule of its group.
fn named_list(lab: &mut Lab) -> (String, String, String) {
    let list = lab.get(&create(TWO), "prefixListId");
    let table = lab.get("Action=DescribeRouteTables", "routeTableId");
    let gateway = lab.get("Action=DescribeInternetGateways", "internetGatewayId");
    let group = lab.get("Action=DescribeSecurityGroups", "groupId");
    lab.xml(&format!("Action=CreateRoute&RouteTableId={table}&DestinationPrefixListId={list}&GatewayId={gateway}"));
    lab.xml(&format!(
        "Action=AuthorizeSecurityGroupIngress&GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=1\
         &IpPermissions.1.ToPort=1&IpPermissions.1.PrefixListIds.1.PrefixListId={list}"
    ));
    (list, table, group)
}

#[test]
fn a_list_that_is_named_stays_and_says_by_whom() {
    let mut lab = Lab::new();
    let (list, table, group) = named_list(&mut lab);
    let associations = format!("Action=GetManagedPrefixListAssociations&PrefixListId={list}");
    let mut named = [table.clone(), group.clone()];
    named.sort();
    assert_eq!(lab.all(&associations, "resourceId"), named);
    let delete = format!("Action=DeleteManagedPrefixList&PrefixListId={list}");
    lab.refuses(&[(&delete, "PrefixListInUse")]);
    lab.xml(&format!("Action=DeleteRoute&RouteTableId={table}&DestinationPrefixListId={list}"));
    lab.refuses(&[(&delete, "PrefixListInUse")]);
    let rules = format!("Action=DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1={group}");
    let xml = lab.xml(&rules);
    let rule = values(&xml, "securityGroupRuleId").pop().unwrap();
    assert_eq!(values(&xml, "prefixListId"), [list.as_str()]);
    lab.xml(&format!("Action=RevokeSecurityGroupIngress&GroupId={group}&SecurityGroupRuleId.1={rule}"));
    assert_eq!(lab.get(&delete, "state"), "delete-in-progress");
    lab.refuses(&[(&delete, "InvalidPrefixListID.NotFound")]);
}

#[test]
fn a_list_grows_only_where_what_names_it_has_room() {
    let mut lab = Lab::new();
    let (list, ..) = named_list(&mut lab);
    // The default VPC's table has a route of its own.
    lab.settings.quotas.routes_per_table = 5;
    lab.xml(&modify(&list, 1, "&MaxEntries=4"));
    lab.refuses(&[(&modify(&list, 1, "&MaxEntries=5"), "RouteLimitExceeded")]);
    lab.settings.quotas.routes_per_table = 50;
    lab.settings.quotas.rules_per_security_group = 4;
    lab.refuses(&[(&modify(&list, 1, "&MaxEntries=5"), "RulesPerSecurityGroupLimitExceeded")]);
    assert_eq!(describe(&mut lab, &list, "maxEntries"), "4");
    lab.xml(&modify(&list, 1, "&MaxEntries=2"));
}
