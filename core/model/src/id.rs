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
/// Bytes of the longest id: `subnet-cidr-assoc-` and its digits.
const MAX_TEXT: usize = 18 + LONG_DIGITS;
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

/// An id's text, without an allocation: answers and rows are full of ids.
struct Text {
    bytes: [u8; MAX_TEXT],
    length: usize,
}

impl Text {
    fn new(value: u128, prefix: &str) -> Self {
        let digits = if value & SHORT != 0 { SHORT_DIGITS } else { LONG_DIGITS };
        let mut text = Self { bytes: [0; MAX_TEXT], length: prefix.len() + digits };
        let (head, tail) = text.bytes.split_at_mut(prefix.len());
        head.copy_from_slice(prefix.as_bytes());
        let mut rest = value & !SHORT;
        for digit in tail.iter_mut().take(digits).rev() {
            *digit = b"0123456789abcdef"[(rest & 0xf) as usize];
            rest >>= 4;
        }
        text
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("prefix and digits are ASCII")
    }
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
                const { assert!($prefix.len() + LONG_DIGITS <= MAX_TEXT) };
                // Padded, so that width and fill of the caller apply.
                f.pad(Text::new(self.0, $prefix).as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Text::new(self.0, $prefix).as_str())
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
        for text in ["vpc-0123456789abcdef0", "vpc-1a2b3c4d", "vpc-00000000000000000", "vpc-fffffffffffffffff"] {
            let id = text.parse::<VpcId>().unwrap();
            assert_eq!((id.to_string().as_str(), format!("{id:?}").as_str()), (text, text));
        }
        let longest = "subnet-cidr-assoc-0123456789abcdef0";
        assert_eq!(longest.parse::<SubnetCidrAssociationId>().unwrap().to_string(), longest);
        let id = VpcId::from_bits(7);
        assert_eq!((format!("{id:>22}"), format!("{id:<22}|")), (format!(" {id}"), format!("{id} |")));
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
