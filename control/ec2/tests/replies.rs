//! Replies and errors become the documents that AWS's clients read.

use gp_ec2::shapes::{
    CreateSecurityGroupResult, DescribeVpcsResult, GetCallerIdentityResponse, InstanceState, KeyPairInfo, Tag, Vpc,
    VpcCidrBlockAssociation, VpcCidrBlockState,
};
use gp_ec2::{ApiError, Reply, Service, Timestamp, encode_error, encode_error_for, encode_reply, shapes};
use proptest::prelude::*;
use quick_xml::events::Event;

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Checks the document but for its declaration and the EC2 namespace of its root.
fn is_document(got: &str, want: &str) {
    let namespace = r#" xmlns="http://ec2.amazonaws.com/doc/2016-11-15/""#;
    let want = want.replacen('>', &format!("{namespace}>"), 1);
    assert_eq!(got, format!("{DECLARATION}{want}"));
}

#[test]
fn a_reply_is_written_in_the_models_order() {
    let association = VpcCidrBlockAssociation {
        association_id: some("vpc-cidr-assoc-1"),
        cidr_block: some("10.0.0.0/16"),
        cidr_block_state: Some(VpcCidrBlockState { state: some("associated"), ..Default::default() }),
    };
    let vpc = Vpc {
        vpc_id: some("vpc-1"),
        is_default: Some(false),
        cidr_block_association_set: vec![association],
        tags: vec![Tag { key: some("Name"), value: some("a & b") }],
        ..Default::default()
    };
    let reply = Reply::DescribeVpcs(DescribeVpcsResult { vpcs: vec![vpc, Vpc::default()], next_token: None });
    is_document(
        &encode_reply(&reply, "r-1"),
        "<DescribeVpcsResponse><requestId>r-1</requestId><vpcSet><item><ipv6CidrBlockAssociationSet/>\
         <cidrBlockAssociationSet><item><associationId>vpc-cidr-assoc-1</associationId>\
         <cidrBlock>10.0.0.0/16</cidrBlock><cidrBlockState><state>associated</state></cidrBlockState></item>\
         </cidrBlockAssociationSet><isDefault>false</isDefault><tagSet><item><key>Name</key>\
         <value>a &amp; b</value></item></tagSet><vpcId>vpc-1</vpcId></item><item><ipv6CidrBlockAssociationSet/>\
         <cidrBlockAssociationSet/></item></vpcSet></DescribeVpcsResponse>",
    );
}

#[test]
fn an_empty_list_is_an_empty_element_unless_aws_leaves_it_out() {
    is_document(
        &encode_reply(&Reply::DescribeVpcs(DescribeVpcsResult::default()), "r"),
        "<DescribeVpcsResponse><requestId>r</requestId><vpcSet/></DescribeVpcsResponse>",
    );
    let group = CreateSecurityGroupResult { group_id: some("sg-1"), ..Default::default() };
    is_document(
        &encode_reply(&Reply::CreateSecurityGroup(group), "r"),
        "<CreateSecurityGroupResponse><requestId>r</requestId><groupId>sg-1</groupId></CreateSecurityGroupResponse>",
    );
}

#[test]
fn an_action_without_a_result_answers_true() {
    is_document(
        &encode_reply(&Reply::DeleteVpc, "r"),
        "<DeleteVpcResponse><requestId>r</requestId><return>true</return></DeleteVpcResponse>",
    );
}

#[test]
fn numbers_and_times_have_their_forms() {
    let key = KeyPairInfo { create_time: Some(Timestamp::from_millis(1_795_249_577_000)), ..Default::default() };
    let keys = Reply::DescribeKeyPairs(shapes::DescribeKeyPairsResult { key_pairs: vec![key] });
    assert!(encode_reply(&keys, "r").contains("<createTime>2026-11-21T08:26:17.000Z</createTime>"));
    let state = InstanceState { code: Some(16), name: some("running") };
    let instance = shapes::Instance { state: Some(state), public_dns_name: some(""), ..Default::default() };
    let reply = Reply::RunInstances(shapes::Reservation { instances: vec![instance], ..Default::default() });
    let document = encode_reply(&reply, "r");
    assert!(document.contains("<instanceState><code>16</code><name>running</name></instanceState>"), "{document}");
    assert!(document.contains("<dnsName/>"), "{document}");
}

#[test]
fn caller_identity_answers_in_the_form_of_sts() {
    let identity = GetCallerIdentityResponse {
        arn: some("arn:aws:iam::000000000000:root"),
        user_id: some("000000000000"),
        account: some("000000000000"),
    };
    let want =
        r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>"#
            .to_owned()
            + "<Arn>arn:aws:iam::000000000000:root</Arn><UserId>000000000000</UserId><Account>000000000000</Account>\
           </GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>\
           </GetCallerIdentityResponse>";
    assert_eq!(encode_reply(&Reply::GetCallerIdentity(identity), "r"), format!("{DECLARATION}{want}"));
}

#[test]
fn errors_are_written_in_the_form_of_their_service() {
    let error = ApiError::client("InvalidVpcID.NotFound", "The vpc ID 'vpc-<1>' does not exist");
    let inner =
        "<Code>InvalidVpcID.NotFound</Code><Message>The vpc ID &apos;vpc-&lt;1&gt;&apos; does not exist</Message>";
    let ec2 = format!("<Response><Errors><Error>{inner}</Error></Errors><RequestID>r</RequestID></Response>");
    assert_eq!(encode_error(&error, "r"), format!("{DECLARATION}{ec2}"));
    let root = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">"#;
    let sts = format!("{root}<Error><Type>Sender</Type>{inner}</Error><RequestId>r</RequestId></ErrorResponse>");
    assert_eq!(encode_error_for(Service::Sts, &error, "r"), format!("{DECLARATION}{sts}"));
    let ours = encode_error_for(Service::Sts, &ApiError::internal("x"), "r");
    assert!(ours.contains("<Type>Receiver</Type>"));
}

/// The text of the element `name`, read by quick-xml.
fn text_of(document: &str, name: &str) -> String {
    let mut reader = quick_xml::Reader::from_str(document);
    let (mut inside, mut text) = (false, String::new());
    loop {
        match reader.read_event().expect("the document is well formed") {
            Event::Start(start) => inside = start.name().as_ref() == name,
            Event::End(_) => inside = false,
            Event::Text(part) if inside => text.push_str(&part),
            Event::GeneralRef(reference) if inside => text.push(match reference.resolve_char_ref() {
                Ok(Some(c)) => c,
                _ => match reference.as_ref() {
                    "lt" => '<',
                    "gt" => '>',
                    "amp" => '&',
                    "apos" => '\'',
                    "quot" => '"',
                    other => panic!("unknown entity {other:?}"),
                },
            }),
            Event::Eof => return text,
            _ => {}
        }
    }
}

/// What XML 1.0, section 2.2, allows.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && c != '\u{fffe}' && c != '\u{ffff}')
}

proptest! {
    #[test]
    fn any_text_survives_but_for_characters_that_xml_forbids(message in any::<String>(), control in "[\\x00-\\x20\u{fffe}&<>]{0,6}") {
        let message = message + &control;
        let document = encode_error(&ApiError::client("X", message.clone()), "r");
        prop_assert!(document.chars().all(is_xml_char));
        prop_assert!(!document.contains('\r'));
        let want: String = message.chars().map(|c| if is_xml_char(c) { c } else { '\u{fffd}' }).collect();
        prop_assert_eq!(text_of(&document, "Message"), want);
    }
}
