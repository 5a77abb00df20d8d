//! No form makes the decoder panic: random bytes, random names, and mutations of real requests.

use gp_ec2::{fuzz_decode, fuzz_sigv4};
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn real_forms() -> Vec<&'static str> {
    include_str!("data/botocore_forms.txt").lines().collect()
}

/// One `name=value` of a form, made of the parts that real ones are made of.
fn parameter() -> impl Strategy<Value = String> {
    let part = select(vec![
        "Filter",
        "Name",
        "Value",
        "Tag",
        "Key",
        "1",
        "2",
        "0",
        "-1",
        "999999999",
        "99999999999999999999",
        "VpcId",
        "TagSpecification",
        "NetworkInterface",
        "Ebs",
        "DryRun",
        "MaxResults",
        "IpPermissions",
        "Groups",
        "",
        "é",
    ]);
    let value = prop_oneof![
        select(vec!["", "true", "1", "-1", "99999999999999999999", "%", "%e9", "%00", "2026-11-21", "NaN", "vpc-1"])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    (prop::collection::vec(part, 1..8), value).prop_map(|(parts, value)| format!("{}={value}", parts.join(".")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_decode(&bytes);
        fuzz_sigv4(&bytes);
    }

    #[test]
    fn random_parameters_do_not_panic(
        action in select(gp_ec2::implemented_action_names().to_vec()),
        parameters in prop::collection::vec(parameter(), 0..20),
    ) {
        fuzz_decode(format!("Action={action}&{}", parameters.join("&")).as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mutated_requests_do_not_panic(
        form in select(real_forms()),
        edits in prop::collection::vec((any::<Index>(), any::<u8>(), 0..3_u8), 1..12),
    ) {
        let mut bytes = form.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len().max(1)).min(bytes.len());
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => {}
            }
        }
        fuzz_decode(&bytes);
    }

    #[test]
    fn mutated_signatures_do_not_panic(
        credential in "[a-z0-9/]{0,30}",
        fields in "(SignedHeaders|Signature|Credential|=|,|;|host| ){0,8}",
        date in "[0-9TZ]{0,17}",
        query in "[aX%&=+-]{0,20}",
    ) {
        let line = format!("{query}\nAWS4-HMAC-SHA256 Credential={credential}/aws4_request, {fields}\n{date}\nbody");
        fuzz_sigv4(line.as_bytes());
    }
}
