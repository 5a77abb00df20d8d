//! The generated structures: one for each request, response and nested shape of the actions in
//! `model/actions.txt`, with the model's names in snake_case.
//!
//! - Scalars and structures are `Option`: `None` is an absent parameter or element.
//! - Lists are `Vec`: in a request an absent list is empty; in a response an empty list is an empty element,
//!   except those named in `model/absent-when-empty.txt`, which are left out, as AWS does.
//! - Enumerations are `String`; in requests the decoder has checked them (except `model/open-enums.txt`).
//! - Blobs are base64 text, as on the wire. Integers of both widths are `i64`; the decoder has checked the range.

use crate::ApiError;
use crate::decode::{Check, Decode, Fields, Member};
use crate::timestamp::Timestamp;
use crate::xml::{Encode, Put, PutSome, Xml};

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));
