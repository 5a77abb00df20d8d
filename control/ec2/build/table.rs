//! The JSON form of the service model's table (`model/README.md` describes it).

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

#[derive(Deserialize)]
pub struct Table {
    pub actions: BTreeMap<String, Action>,
    pub shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
pub struct Action {
    pub area: String,
    #[serde(rename = "in")]
    pub input: String,
    #[serde(rename = "out")]
    pub output: Option<String>,
    #[serde(default)]
    pub filters: Vec<Filter>,
}

/// A filter's name, alone or followed by the values that the documentation lists.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Filter {
    Name(String),
    NameAndValues(Vec<String>),
}

impl Filter {
    pub fn split(self) -> (String, Vec<String>) {
        match self {
            Filter::Name(name) => (name, Vec::new()),
            Filter::NameAndValues(mut words) => (words.remove(0), words),
        }
    }
}

#[derive(Deserialize)]
pub struct Shape {
    #[serde(rename = "struct")]
    pub members: Option<Members>,
    pub list: Option<String>,
    #[serde(rename = "enum")]
    pub values: Option<Vec<String>>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// The kind of a scalar (`"integer": 1`), and keys that the generator does not use.
    #[serde(flatten)]
    pub rest: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
pub struct Member {
    #[serde(rename = "s")]
    pub shape: String,
    #[serde(rename = "q")]
    pub query: Option<String>,
    #[serde(rename = "x")]
    pub xml: Option<String>,
    #[serde(rename = "req", default)]
    pub required: u8,
    #[serde(rename = "idem", default)]
    pub idempotency_token: u8,
}

/// A structure's members in the table's order, which is the order of the elements in a response. (A map type
/// would sort them.)
pub struct Members(pub Vec<(String, Member)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a structure's members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(entry) = map.next_entry()? {
            members.push(entry);
        }
        Ok(Members(members))
    }
}
