//! The two enums that the rest of the control plane speaks: [`Action`] in, [`Reply`] out. Generated.

use crate::decode::{Node, structure};
use crate::xml::{Encode, Xml};
use crate::{ApiError, shapes};

include!(concat!(env!("OUT_DIR"), "/actions.rs"));
