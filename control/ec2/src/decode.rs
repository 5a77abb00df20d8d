//! The decoder's run time: from named parameters to the generated structures.
//!
//! Each generated structure names its members once, in [`Decode::MEMBERS`]; [`Fields`] looks them up by position,
//! checks them, and what no member claims is refused. Lists are flattened (`Name.1`, `Name.2`): indices start at 1,
//! may come in any order and may leave gaps; entries keep the order of their indices.
//!
//! There is no tree: a [`Node`] is a slice of the sorted parameters, so depth and indices cost no memory.

use std::fmt;

use crate::ApiError;
use crate::timestamp::Timestamp;

/// A parameter's full dotted name and its value.
pub(crate) type Entry = (String, String);

/// All parameters whose names begin with the same dotted parts.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    entries: &'a [Entry],
    /// How much of each name leads here, in bytes.
    end: usize,
    /// Where the next part of each name starts.
    next: usize,
}

impl<'a> Node<'a> {
    /// All of a request's parameters. `entries` must be sorted by [`parts`].
    pub(crate) fn root(entries: &'a [Entry]) -> Node<'a> {
        Node { entries, end: 0, next: 0 }
    }

    /// The full name of this node.
    fn name(&self) -> &'a str {
        self.entries.first().map(|(name, _)| &name[..self.end]).unwrap_or_default()
    }

    /// The value of the parameter with exactly this name. Its shorter name sorts it before all others.
    fn value(&self) -> Option<&'a str> {
        let (name, value) = self.entries.first()?;
        if name.len() < self.next { Some(value) } else { None }
    }

    /// The part of an entry's name that follows this node; `None` if the name ends here.
    fn part(&self, entry: &'a Entry) -> Option<&'a str> {
        entry.0.get(self.next..)?.split('.').next()
    }

    /// The nodes below, in order of name.
    fn children(self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let groups = self.entries.chunk_by(move |a, b| self.part(a) == self.part(b));
        groups.filter_map(move |group| Some((self.part(&group[0])?, self.below(group)?)))
    }

    /// The node below called `part`.
    pub(crate) fn child(&self, part: &str) -> Option<Node<'a>> {
        let start = self.entries.partition_point(|entry| self.part(entry) < Some(part));
        let count = self.entries[start..].partition_point(|entry| self.part(entry) == Some(part));
        self.below(&self.entries[start..start + count])
    }

    fn below(&self, entries: &'a [Entry]) -> Option<Node<'a>> {
        let end = self.next + self.part(entries.first()?)?.len();
        Some(Node { entries, end, next: end + 1 })
    }

    /// The refusal of the first parameter of this node.
    fn unknown(&self) -> ApiError {
        ApiError::unknown_parameter(self.entries.first().map(|(name, _)| name.as_str()).unwrap_or_default())
    }

    /// The text of a scalar; anything below a scalar is a parameter that does not exist.
    pub(crate) fn text(&self) -> Result<&'a str, ApiError> {
        if let Some((_, child)) = self.children().next() {
            return Err(child.unknown());
        }
        self.value().ok_or_else(|| self.unknown())
    }
}

/// The parts of a dotted name: what parameters are sorted by, so that a node's parameters stand together.
pub(crate) fn parts(entry: &Entry) -> impl Iterator<Item = &str> {
    entry.0.split('.')
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
    fn decode(fields: &Fields<'_>) -> Result<Self, ApiError>;
}

/// Decodes a structure: the whole request, or one inside it.
pub(crate) fn structure<T: Decode>(node: Node<'_>) -> Result<T, ApiError> {
    if node.value().is_some() {
        return Err(node.unknown());
    }
    let claimed = |part: &str| T::MEMBERS.iter().any(|member| member.name == part);
    if let Some((_, stray)) = node.children().find(|(part, _)| !claimed(part)) {
        return Err(stray.unknown());
    }
    T::decode(&Fields { node, members: T::MEMBERS })
}

/// A structure's parameters.
pub(crate) struct Fields<'a> {
    node: Node<'a>,
    members: &'static [Member],
}

impl Fields<'_> {
    /// Reads the member at `index` of [`Decode::MEMBERS`].
    pub(crate) fn get<T: Slot>(&self, index: usize) -> Result<T, ApiError> {
        let member = &self.members[index];
        let slot = match self.node.child(member.name) {
            Some(node) => T::fill(node, &member.check)?,
            None => None,
        };
        match slot {
            Some(slot) => Ok(slot),
            None if member.required => Err(self.missing(member)),
            None => Ok(T::default()),
        }
    }

    fn missing(&self, member: &Member) -> ApiError {
        match self.node.name() {
            // As AWS has been recorded to call it; its name on the wire is another.
            "" if member.name == "ResourceId" => ApiError::missing_parameter("ResourceIdSet"),
            "" => ApiError::missing_parameter(member.name),
            place => ApiError::missing_parameter(format_args!("{place}.{}", member.name)),
        }
    }
}

/// A member's place in a generated structure: `Option` of a value, or a list.
pub(crate) trait Slot: Default {
    /// Reads a parameter that was given; `None` if what was given amounts to nothing.
    fn fill(node: Node<'_>, check: &Check) -> Result<Option<Self>, ApiError>;
}

impl<T: Value> Slot for Option<T> {
    fn fill(node: Node<'_>, check: &Check) -> Result<Option<Self>, ApiError> {
        T::read(node, check).map(|value| Some(Some(value)))
    }
}

impl<T: Value> Slot for Vec<T> {
    fn fill(node: Node<'_>, check: &Check) -> Result<Option<Self>, ApiError> {
        // `Name=` is how some clients write an empty list.
        if node.value().is_some_and(|value| !value.is_empty()) {
            return Err(node.unknown());
        }
        let (min, max, of) = match check {
            Check::List { min, max, of } => (*min, *max, *of),
            _ => (0, i64::MAX, &Check::Any),
        };
        let numbered = node.children().map(|(part, child)| match list_index(part) {
            Some(index) => Ok((index, child)),
            None => Err(child.unknown()),
        });
        let mut entries = numbered.collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Ok(None);
        }
        let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        if !(min..=max).contains(&count) {
            return Err(invalid(node, count, format_args!("Expecting {min} to {max} entries.")));
        }
        entries.sort_unstable_by_key(|(index, _)| *index);
        entries.into_iter().map(|(_, child)| T::read(child, of)).collect::<Result<Vec<_>, _>>().map(Some)
    }
}

/// `1`, `2`, … without sign or leading zero, so that no index has two spellings.
fn list_index(part: &str) -> Option<u32> {
    let plain = part.bytes().all(|b| b.is_ascii_digit()) && !part.starts_with('0');
    if plain { part.parse().ok() } else { None }
}

fn invalid(node: Node<'_>, value: impl fmt::Display, why: impl fmt::Display) -> ApiError {
    ApiError::invalid_value(value, node.name(), why)
}

/// A value of one of the model's types.
pub(crate) trait Value: Sized {
    fn read(node: Node<'_>, check: &Check) -> Result<Self, ApiError>;
}

impl<T: Decode> Value for T {
    fn read(node: Node<'_>, _: &Check) -> Result<Self, ApiError> {
        structure(node)
    }
}

impl Value for String {
    fn read(node: Node<'_>, check: &Check) -> Result<Self, ApiError> {
        let value = node.text()?;
        match check {
            Check::OneOf(values) if !values.contains(&value) => Err(not_one_of(node, value, values)),
            Check::Length { min, max } => {
                let length = i64::try_from(value.chars().count()).unwrap_or(i64::MAX);
                if (*min..=*max).contains(&length) {
                    Ok(value.to_owned())
                } else {
                    Err(bad_length(node, value, *min, *max))
                }
            }
            _ => Ok(value.to_owned()),
        }
    }
}

fn not_one_of(node: Node<'_>, value: &str, values: &[&str]) -> ApiError {
    /// Longer lists would bury the message.
    const NAMED: usize = 16;
    if values.len() > NAMED {
        return invalid(node, value, "");
    }
    invalid(node, value, format_args!("Valid values are: {}.", values.join(", ")))
}

fn bad_length(node: Node<'_>, value: &str, min: i64, max: i64) -> ApiError {
    let why = match max {
        i64::MAX => format!("Expecting at least {min} characters."),
        _ => format!("Expecting {min} to {max} characters."),
    };
    invalid(node, value, why)
}

impl Value for i64 {
    fn read(node: Node<'_>, check: &Check) -> Result<Self, ApiError> {
        let value = node.text()?;
        let Ok(number) = value.parse::<i64>() else {
            return Err(invalid(node, value, "Expecting an integer."));
        };
        match check {
            Check::Int { min, .. } if number < *min => {
                Err(out_of_range(node, number, format_args!("greater than {min}")))
            }
            Check::Int { max, .. } if number > *max => Err(out_of_range(node, number, format_args!("less than {max}"))),
            _ => Ok(number),
        }
    }
}

/// AWS writes the number between spaces, and says "greater than" where the bound itself is allowed.
fn out_of_range(node: Node<'_>, number: i64, bound: fmt::Arguments<'_>) -> ApiError {
    invalid(node, format_args!(" {number} "), format_args!("Expecting a value {bound}."))
}

impl Value for bool {
    fn read(node: Node<'_>, _: &Check) -> Result<Self, ApiError> {
        let value = node.text()?;
        match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(invalid(node, value, "Expecting true or false.")),
        }
    }
}

impl Value for f64 {
    fn read(node: Node<'_>, _: &Check) -> Result<Self, ApiError> {
        let value = node.text()?;
        let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| invalid(node, value, "Expecting a number."))
    }
}

impl Value for Timestamp {
    fn read(node: Node<'_>, _: &Check) -> Result<Self, ApiError> {
        let value = node.text()?;
        value.parse().map_err(|_| invalid(node, value, "Expecting an ISO 8601 date and time."))
    }
}
