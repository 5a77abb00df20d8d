//! The chain of IPv6 extension headers (RFC 8200, 4) down to the upper layer.

use crate::{Fragment, ParseError};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
/// RFC 8200 knows six places for a header; a longer chain is there to tire the reader out.
const MAX_HEADERS: usize = 6;
/// Length of a fragment header, and the unit and minimum of the others.
const UNIT_BYTES: usize = 8;

/// What the chain leads to.
pub(crate) struct UpperLayer<'a> {
    pub protocol: u8,
    /// As the fragment header has it, if there is one.
    pub fragment: Option<Fragment>,
    /// Behind the last header; of a fragment the part that the packet carries.
    pub payload: &'a [u8],
}

/// Follows the chain that starts with a header of type `next` at `bytes`.
///
/// Behind a fragment header of a later fragment there is no chain to follow: its `protocol` is what the fragment
/// header names.
///
/// # Errors
/// A header beyond the end, a second fragment header, or more than [`MAX_HEADERS`] headers.
pub(crate) fn walk_extensions(mut next: u8, mut bytes: &[u8]) -> Result<UpperLayer<'_>, ParseError> {
    let mut fragment = None;
    // One round more than headers are allowed: the last one finds the upper layer.
    for _ in 0..=MAX_HEADERS {
        match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let [following, units, ..] = *header(bytes)?;
                let length = (usize::from(units) + 1) * UNIT_BYTES;
                bytes = bytes.get(length..).ok_or(ParseError::Truncated("IPv6 extension"))?;
                next = following;
            }
            FRAGMENT if fragment.is_some() => return Err(ParseError::Malformed("IPv6 extension")),
            FRAGMENT => {
                let [following, _, offset_high, offset_low, i0, i1, i2, i3] = *header(bytes)?;
                let offset_and_flags = u16::from_be_bytes([offset_high, offset_low]);
                let found = Fragment {
                    id: u32::from_be_bytes([i0, i1, i2, i3]),
                    offset: u32::from(offset_and_flags & !7),
                    more: offset_and_flags & 1 != 0,
                };
                bytes = &bytes[UNIT_BYTES..];
                next = following;
                fragment = Some(found);
                if found.offset > 0 {
                    return Ok(UpperLayer { protocol: next, fragment, payload: bytes });
                }
            }
            protocol => return Ok(UpperLayer { protocol, fragment, payload: bytes }),
        }
    }
    Err(ParseError::Malformed("IPv6 extension"))
}

fn header(bytes: &[u8]) -> Result<&[u8; UNIT_BYTES], ParseError> {
    bytes.first_chunk().ok_or(ParseError::Truncated("IPv6 extension"))
}
