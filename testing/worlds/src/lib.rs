//! Worlds and packets as one line of text, and random ones from a seed: what every crate's tests speak.
//!
//! ```
//! let mut scenario: gp_worlds::Scenario = "
//!     vpc a 10.0.0.0/16; subnet a1 a 10.0.1.0/24
//!     sg web a in tcp 80 from 0.0.0.0/0; sg none a
//!     eni c a1 10.0.1.20 sg none; eni w a1 10.0.1.10 sg web
//! ".parse().unwrap();
//! let path = scenario.send("c > w tcp 4000:80 syn").unwrap();
//! assert!(matches!(path.verdict(), gp_trace::Verdict::Deliver { eni, .. } if *eni == scenario.eni("w")));
//! ```
//!
//! Ids follow from names, so a text gives the same world everywhere. A statement about a name that exists replaces
//! what it named.

mod connections;
mod gateways;
pub mod matrix;
mod packet;
pub mod random;
mod random_ways;
mod rng;
mod scenario;
mod statement;
mod tokens;

pub use connections::ConnectionTable;
pub use packet::Sent;
pub use rng::Rng;
pub use scenario::{RecordChange, Scenario};
pub use tokens::TextError;
