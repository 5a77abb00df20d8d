//! The decoder's run time: from the tree of parameters to the generated structures.
//!
//! Each generated structure names its members once, in [`Decode::MEMBERS`]; [`Fields`] takes them out of the tree
//! by position, checks them, and refuses what no member claims. Lists are flattened (`Name.1`, `Name.2`): indices
//! start at 1, may come in any order and may leave gaps; entries keep the order of their indices.

use std::collections::BTreeMap;
use std::fmt;

use crate::ApiError;
use crate::timestamp::Timestamp;

/// One part of a parameter's dotted name, with what stands under it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Option<String>,
    pub(crate) children: BTreeMap<String, Node>,
}

/// A member of a structure: its parameter name and what its value must satisfy beyond its type.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) check: Check,
}

/// A constraint of the model.
pub(crate) enum Check {
    Any,
    OneOf(&'static [&'static str]),
    Int { min: i64, max: i64 },
    Length { min: i64, max: i64 },
    List { min: i64, max: i64, of: &'static Check },
}

/// A generated structure that occurs in requests.
pub(crate) trait Decode: Sized {
    const MEMBERS: &'static [Member];
    fn decode(fields: &mut Fields<'_>) -> Result<Self, ApiError>;
}

/// Where in the request we are, for messages. Nothing is written down until an error needs it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    part: Part,
}

#[derive(Clone, Copy)]
enum Part {
    Root,
    Name(&'static str),
    Index(u32),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            if !matches!(parent.part, Part::Root) {
                f.write_str(".")?;
            }
        }
        match self.part {
            Part::Root => Ok(()),
            Part::Name(name) => f.write_str(name),
            Part::Index(index) => write!(f, "{index}"),
        }
    }
}

/// Decodes a whole request.
pub(crate) fn root<T: Decode>(tree: Node) -> Result<T, ApiError> {
    structure(tree, &Place { parent: None, part: Part::Root })
}

fn structure<T: Decode>(node: Node, place: &Place<'_>) -> Result<T, ApiError> {
    if node.value.is_some() {
        return Err(ApiError::unknown_parameter(place));
    }
    let claimed = |name: &String| T::MEMBERS.iter().any(|member| member.name == name);
    if let Some((name, child)) = node.children.iter().find(|(name, _)| !claimed(name)) {
        return Err(unknown(place, name, child));
    }
    T::decode(&mut Fields { node, members: T::MEMBERS, place })
}

/// `UnknownParameter` for the first full name that the request gave under `child`.
fn unknown(place: &Place<'_>, name: &str, child: &Node) -> ApiError {
    let mut full = place.to_string();
    let mut next = Some((name, child));
    while let Some((name, node)) = next {
        if !full.is_empty() {
            full.push('.');
        }
        full.push_str(name);
        next = match node.value {
            Some(_) => None,
            None => node.children.iter().next().map(|(name, node)| (name.as_str(), node)),
        };
    }
    ApiError::unknown_parameter(full)
}

/// A structure's parameters while they are being taken.
pub(crate) struct Fields<'a> {
    node: Node,
    members: &'static [Member],
    place: &'a Place<'a>,
}

impl Fields<'_> {
    /// Takes the member at `index` of [`Decode::MEMBERS`].
    pub(crate) fn take<T: Slot>(&mut self, index: usize) -> Result<T, ApiError> {
        let member = &self.members[index];
        let place = Place { parent: Some(self.place), part: Part::Name(member.name) };
        match self.node.children.remove(member.name) {
            Some(node) => T::fill(node, &place, member),
            None => T::absent(&place, member),
        }
    }
}

/// A member's place in a generated structure: `Option` of a value, or a list.
pub(crate) trait Slot: Default {
    fn fill(node: Node, place: &Place<'_>, member: &Member) -> Result<Self, ApiError>;

    fn absent(place: &Place<'_>, member: &Member) -> Result<Self, ApiError> {
        if member.required { Err(ApiError::missing_parameter(place)) } else { Ok(Self::default()) }
    }
}

impl<T: Value> Slot for Option<T> {
    fn fill(node: Node, place: &Place<'_>, member: &Member) -> Result<Self, ApiError> {
        T::read(node, place, &member.check).map(Some)
    }
}

impl<T: Value> Slot for Vec<T> {
    fn fill(node: Node, place: &Place<'_>, member: &Member) -> Result<Self, ApiError> {
        // `Name=` is how some clients write an empty list.
        if node.value.is_some_and(|value| !value.is_empty()) {
            return Err(ApiError::unknown_parameter(place));
        }
        if node.children.is_empty() {
            return Self::absent(place, member);
        }
        let (min, max, of) = match &member.check {
            Check::List { min, max, of } => (*min, *max, *of),
            _ => (0, i64::MAX, &Check::Any),
        };
        let mut entries = BTreeMap::new();
        for (name, child) in node.children {
            let Some(index) = list_index(&name) else { return Err(unknown(place, &name, &child)) };
            entries.insert(index, child);
        }
        let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        if !(min..=max).contains(&count) {
            return Err(ApiError::invalid_value(count, place, format_args!("Expecting {min} to {max} entries.")));
        }
        let read = |(index, child)| T::read(child, &Place { parent: Some(place), part: Part::Index(index) }, of);
        entries.into_iter().map(read).collect()
    }
}

/// `1`, `2`, … without sign or leading zero, so that no index has two spellings.
fn list_index(name: &str) -> Option<u32> {
    let plain = name.bytes().all(|b| b.is_ascii_digit()) && !name.starts_with('0');
    if plain { name.parse().ok() } else { None }
}

/// A value of one of the model's types.
pub(crate) trait Value: Sized {
    fn read(node: Node, place: &Place<'_>, check: &Check) -> Result<Self, ApiError>;
}

impl<T: Decode> Value for T {
    fn read(node: Node, place: &Place<'_>, _: &Check) -> Result<Self, ApiError> {
        structure(node, place)
    }
}

/// The text of a scalar; anything below a scalar is a parameter that does not exist.
fn text(node: Node, place: &Place<'_>) -> Result<String, ApiError> {
    match (node.children.into_iter().next(), node.value) {
        (Some((name, child)), _) => Err(unknown(place, &name, &child)),
        (None, Some(value)) => Ok(value),
        (None, None) => Err(ApiError::unknown_parameter(place)),
    }
}

impl Value for String {
    fn read(node: Node, place: &Place<'_>, check: &Check) -> Result<Self, ApiError> {
        let value = text(node, place)?;
        match check {
            Check::OneOf(values) if !values.contains(&value.as_str()) => Err(not_one_of(&value, place, values)),
            Check::Length { min, max } => {
                let length = i64::try_from(value.chars().count()).unwrap_or(i64::MAX);
                if (*min..=*max).contains(&length) { Ok(value) } else { Err(bad_length(&value, place, *min, *max)) }
            }
            _ => Ok(value),
        }
    }
}

fn not_one_of(value: &str, place: &Place<'_>, values: &[&str]) -> ApiError {
    /// Longer lists would bury the message.
    const NAMED: usize = 16;
    if values.len() > NAMED {
        return ApiError::invalid_value(value, place, "");
    }
    ApiError::invalid_value(value, place, format_args!("Valid values are: {}.", values.join(", ")))
}

fn bad_length(value: &str, place: &Place<'_>, min: i64, max: i64) -> ApiError {
    let why = match max {
        i64::MAX => format!("Expecting at least {min} characters."),
        _ => format!("Expecting {min} to {max} characters."),
    };
    ApiError::invalid_value(value, place, why)
}

impl Value for i64 {
    fn read(node: Node, place: &Place<'_>, check: &Check) -> Result<Self, ApiError> {
        let value = text(node, place)?;
        let Ok(number) = value.parse::<i64>() else {
            return Err(ApiError::invalid_value(value, place, "Expecting an integer."));
        };
        match check {
            Check::Int { min, .. } if number < *min => {
                Err(out_of_range(number, place, format_args!("greater than {min}")))
            }
            Check::Int { max, .. } if number > *max => {
                Err(out_of_range(number, place, format_args!("less than {max}")))
            }
            _ => Ok(number),
        }
    }
}

/// AWS writes the number between spaces, and says "greater than" where the bound itself is allowed.
fn out_of_range(number: i64, place: &Place<'_>, bound: fmt::Arguments<'_>) -> ApiError {
    ApiError::invalid_value(format_args!(" {number} "), place, format_args!("Expecting a value {bound}."))
}

impl Value for bool {
    fn read(node: Node, place: &Place<'_>, _: &Check) -> Result<Self, ApiError> {
        let value = text(node, place)?;
        match value.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(ApiError::invalid_value(value, place, "Expecting true or false.")),
        }
    }
}

impl Value for f64 {
    fn read(node: Node, place: &Place<'_>, _: &Check) -> Result<Self, ApiError> {
        let value = text(node, place)?;
        let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| ApiError::invalid_value(value, place, "Expecting a number."))
    }
}

impl Value for Timestamp {
    fn read(node: Node, place: &Place<'_>, _: &Check) -> Result<Self, ApiError> {
        let value = text(node, place)?;
        value.parse().map_err(|_| ApiError::invalid_value(value, place, "Expecting an ISO 8601 date and time."))
    }
}
