//! Forms become typed actions, or are refused with AWS's code and words.

use gp_ec2::shapes::{DescribeVpcsRequest, Filter, RunInstancesRequest, Tag, TagSpecification};
use gp_ec2::{Action, ApiError, Request, decode_form};

fn decode(form: &str) -> Request {
    decode_form(form.as_bytes()).unwrap_or_else(|error| panic!("{form}: {error}"))
}

fn refusal(form: &str) -> ApiError {
    decode_form(form.as_bytes()).expect_err(form)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn refused_with(form: &str, code: &str, message: &str) {
    let error = refusal(form);
    assert_eq!((error.code.as_ref(), error.message.as_str(), error.status), (code, message, 400), "{form}");
}

#[test]
fn a_form_becomes_the_typed_action() {
    let request = decode(
        "Action=DescribeVpcs&Version=2016-11-15&VpcId.1=vpc-a&VpcId.2=vpc-b&Filter.1.Name=state\
         &Filter.1.Value.1=pending&Filter.1.Value.2=available&MaxResults=5&DryRun=true",
    );
    let filter = Filter { name: some("state"), values: vec!["pending".into(), "available".into()] };
    let want = DescribeVpcsRequest {
        filters: vec![filter],
        vpc_ids: vec!["vpc-a".into(), "vpc-b".into()],
        max_results: Some(5),
        dry_run: Some(true),
        ..Default::default()
    };
    assert_eq!(request.action, Action::DescribeVpcs(want));
    assert_eq!((request.version.as_deref(), request.dry_run), (Some("2016-11-15"), true));
}

#[test]
fn list_entries_keep_the_order_of_their_indices_over_gaps() {
    let request = decode("Action=DescribeVpcs&VpcId.10=c&VpcId.2=b&VpcId.4294967295=d&VpcId.1=a");
    let Action::DescribeVpcs(vpcs) = request.action else { panic!("another action") };
    assert_eq!(vpcs.vpc_ids, ["a", "b", "c", "d"]);
}

#[test]
fn structures_nest() {
    let request = decode(
        "Action=RunInstances&ImageId=ami-1&MinCount=1&MaxCount=2&ClientToken=t&InstanceType=t9.giant\
         &TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=\
         &NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.SecurityGroupId.1=sg-1\
         &NetworkInterface.1.Ipv6Addresses.1.Ipv6Address=fd00::1",
    );
    assert_eq!(request.client_token.as_deref(), Some("t"));
    let Action::RunInstances(RunInstancesRequest { tag_specifications, network_interfaces, instance_type, .. }) =
        request.action
    else {
        panic!("another action")
    };
    let tags = vec![Tag { key: some("Name"), value: some("") }];
    assert_eq!(tag_specifications, [TagSpecification { resource_type: some("instance"), tags }]);
    assert_eq!(network_interfaces[0].groups, ["sg-1"]);
    assert_eq!(network_interfaces[0].ipv6_addresses[0].ipv6_address, some("fd00::1"));
    assert_eq!(instance_type, some("t9.giant"));
}

#[test]
fn an_empty_list_may_be_written_as_an_empty_value() {
    let request = decode("Action=DescribeVpcs&VpcId=");
    assert_eq!(request.action, Action::DescribeVpcs(DescribeVpcsRequest::default()));
}

#[test]
fn caller_identity_is_decoded_beside_ec2() {
    let request = decode("Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(request.action.name(), "GetCallerIdentity");
}

#[test]
fn actions_are_told_apart() {
    refused_with("", "MissingAction", "The request is missing an action or a required parameter.");
    refused_with("Action=", "MissingAction", "The request is missing an action or a required parameter.");
    refused_with("Action=Boil", "InvalidAction", "The action Boil is not valid for this web service.");
    let unsupported = |name: &str| format!("The action {name} is not implemented by Groundplane.");
    for name in ["CreateTransitGateway", "CopyImage"] {
        refused_with(&format!("Action={name}&Whatever=1"), "UnsupportedOperation", &unsupported(name));
    }
}

#[test]
fn unknown_parameters_are_refused_by_their_full_name() {
    for (parameters, name) in [
        ("Foo=1", "Foo"),
        ("Filter.1.Nam=x", "Filter.1.Nam"),
        ("Filter.x.Name=x", "Filter.x.Name"),
        ("Filter.0.Name=x", "Filter.0.Name"),
        ("Filter.01.Name=x", "Filter.01.Name"),
        ("VpcId.4294967296=x", "VpcId.4294967296"),
        ("VpcId=x", "VpcId"),
        ("VpcId.1.x=1", "VpcId.1.x"),
        ("Filter.1=x", "Filter.1"),
        ("NextToken.1=x", "NextToken.1"),
        ("vpcId.1=x", "vpcId.1"),
        ("=x", ""),
        (".=x", "."),
        ("VpcId..1=x", "VpcId..1"),
        ("VpcId.1.=x", "VpcId.1."),
        ("NextToken=x&NextToken.1=x", "NextToken.1"),
        ("DryRun.Value=true", "DryRun.Value"),
    ] {
        let message = format!("The parameter {name} is not recognized");
        refused_with(&format!("Action=DescribeVpcs&{parameters}"), "UnknownParameter", &message);
    }
}

#[test]
fn required_parameters_are_demanded() {
    let missing = |name: &str| format!("The request must contain the parameter {name}");
    refused_with("Action=DeleteVpc", "MissingParameter", &missing("vpcId"));
    refused_with("Action=TerminateInstances", "MissingParameter", &missing("instanceId"));
    refused_with("Action=CreateTags&Tag.1.Key=a", "MissingParameter", &missing("resourceIdSet"));
    refused_with("Action=TerminateInstances&InstanceId=", "MissingParameter", &missing("instanceId"));
    let update = "Action=ModifySecurityGroupRules&GroupId=sg-1&SecurityGroupRule.1.SecurityGroupRule.IpProtocol=tcp";
    refused_with(update, "MissingParameter", &missing("securityGroupRule.1.SecurityGroupRuleId"));
}

#[test]
fn values_are_checked_against_the_model() {
    for (parameters, message) in [
        ("MaxResults=x", "Value (x) for parameter maxResults is invalid. Expecting an integer."),
        ("MaxResults=", "Value () for parameter maxResults is invalid. Expecting an integer."),
        ("MaxResults=2", "Value ( 2 ) for parameter maxResults is invalid. Expecting a value greater than 5."),
        ("MaxResults=1001", "Value ( 1001 ) for parameter maxResults is invalid. Expecting a value less than 1000."),
        ("DryRun=yes", "Value (yes) for parameter dryRun is invalid. Expecting true or false."),
    ] {
        refused_with(&format!("Action=DescribeVpcs&{parameters}"), "InvalidParameterValue", message);
    }
    refused_with(
        "Action=CreateVpc&InstanceTenancy=shared",
        "InvalidParameterValue",
        "Value (shared) for parameter instanceTenancy is invalid. Valid values are: default, dedicated, host.",
    );
    let port = "Action=AuthorizeSecurityGroupIngress&GroupId=sg-1&FromPort=99999999999";
    assert_eq!(refusal(port).code, "InvalidParameterValue");
}

#[test]
fn a_message_does_not_grow_with_the_value() {
    let message = refusal(&format!("Action=DescribeVpcs&MaxResults={}", "é".repeat(100_000))).message;
    assert!(message.len() < 1200 && message.contains("é..."));
    assert!(refusal(&format!("Action={}", "a".repeat(100_000))).message.len() < 600);
}

#[test]
fn pages_without_bounds_in_the_model_have_the_usual_ones() {
    let message = "Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5.";
    refused_with("Action=DescribeInstances&MaxResults=4", "InvalidParameterValue", message);
}

#[test]
fn a_huge_form_is_refused_and_a_sparse_index_costs_nothing() {
    let many: String = (1..=10_001).map(|i| format!("VpcId.{i}=v&")).collect();
    refused_with(
        &format!("Action=DescribeVpcs&{many}"),
        "MalformedQueryString",
        "The query string contains a syntax error: it has too many parameters",
    );
    let deep = format!("Action=CreateTags&ResourceId.1=vpc-1&Tag{}=x", ".1".repeat(240));
    assert_eq!(refusal(&deep).code, "UnknownParameter");
    let request = decode("Action=CreateTags&ResourceId.1=vpc-1&Tag.999999999.Key=a");
    let Action::CreateTags(tags) = request.action else { panic!("another action") };
    assert_eq!(tags.tags.len(), 1);
}

#[test]
fn every_request_that_botocore_can_write_is_decoded() {
    let mut names = Vec::new();
    for line in include_str!("data/botocore_forms.txt").lines() {
        names.push(decode(line).action.name());
    }
    assert_eq!(names, gp_ec2::implemented_action_names());
}
