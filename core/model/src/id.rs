//! Typed ids: a prefix and 17 lower-case hex digits, as EC2 prints them.
//!
//! An id is a small `Copy` value, so indexes and packet paths carry no strings. The older ids of 8 digits
//! parse too (EC2 still accepts them), so that an unknown one is *not found* and not *malformed*.
//! Source: EC2 user guide, "Resource IDs".

use std::fmt;
use std::str::FromStr;

/// Why a text is not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid id: \"{given}\" (expecting \"{prefix}...\")")]
pub struct ParseIdError {
    pub given: String,
    /// With its hyphen: `vpc-`.
    pub prefix: &'static str,
}

/// Digits of an id of today.
const LONG_DIGITS: usize = 17;
/// Digits of an id of before 2016.
const SHORT_DIGITS: usize = 8;
/// Marks a value parsed from 8 digits, so that it prints as it was written.
const SHORT: u128 = 1 << 127;
/// The bits that 17 hex digits can hold.
pub const ID_BITS: u128 = (1 << (4 * LONG_DIGITS)) - 1;

fn parse_hex(given: &str, prefix: &'static str) -> Result<u128, ParseIdError> {
    let malformed = || ParseIdError { given: given.to_owned(), prefix };
    let digits = given.strip_prefix(prefix).ok_or_else(malformed)?;
    let lower_hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !lower_hex || (digits.len() != LONG_DIGITS && digits.len() != SHORT_DIGITS) {
        return Err(malformed());
    }
    let value = u128::from_str_radix(digits, 16).map_err(|_| malformed())?;
    Ok(if digits.len() == SHORT_DIGITS { value | SHORT } else { value })
}

fn fmt_hex(value: u128, prefix: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value & SHORT != 0 { write!(f, "{prefix}{:08x}", value & !SHORT) } else { write!(f, "{prefix}{value:017x}") }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// An id from random bits; only the lowest 68 are used.
            pub fn from_bits(bits: u128) -> Self {
                Self(bits & ID_BITS)
            }

            pub fn bits(self) -> u128 {
                self.0 & ID_BITS
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Formatted through a String so that width and fill of the caller apply.
                struct Hex(u128);
                impl fmt::Display for Hex {
                    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        fmt_hex(self.0, $prefix, f)
                    }
                }
                f.pad(&Hex(self.0).to_string())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt_hex(self.0, $prefix, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(given: &str) -> Result<Self, ParseIdError> {
                parse_hex(given, $prefix).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    VpcId = "vpc-";
    VpcCidrAssociationId = "vpc-cidr-assoc-";
    SubnetId = "subnet-";
    SubnetCidrAssociationId = "subnet-cidr-assoc-";
    RouteTableId = "rtb-";
    RouteTableAssociationId = "rtbassoc-";
    InternetGatewayId = "igw-";
    DhcpOptionsId = "dopt-";
    NetworkAclId = "acl-";
    NetworkAclAssociationId = "aclassoc-";
    SecurityGroupId = "sg-";
    SecurityGroupRuleId = "sgr-";
    EniId = "eni-";
    EniAttachmentId = "eni-attach-";
    InstanceId = "i-";
    ReservationId = "r-";
    ImageId = "ami-";
    KeyPairId = "key-";
    VolumeId = "vol-";
    SnapshotId = "snap-";
    AllocationId = "eipalloc-";
    AddressAssociationId = "eipassoc-";
    NatGatewayId = "nat-";
    EgressOnlyInternetGatewayId = "eigw-";
    PrefixListId = "pl-";
    SubnetCidrReservationId = "scr-";
    TrunkAssociationId = "trunk-assoc-";
    ServiceAttachmentId = "ela-attach-";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_it_was_written() {
        for text in ["vpc-0123456789abcdef0", "vpc-1a2b3c4d"] {
            assert_eq!(text.parse::<VpcId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn wrong_prefix_length_or_digits_are_malformed() {
        for text in [
            "",
            "vpc-",
            "vpc-0123",
            "subnet-0123456789abcdef0",
            "vpc-0123456789ABCDEF0",
            "vpc-0123456789abcdefg",
            "vpc-+123456789abcdef0",
        ] {
            let error = text.parse::<VpcId>().unwrap_err();
            assert_eq!(error.to_string(), format!("Invalid id: \"{text}\" (expecting \"vpc-...\")"));
        }
    }
}
