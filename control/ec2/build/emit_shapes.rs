//! Writes the generated structures: one plain struct for each reachable structure of the model, `Decode` for
//! those in requests, `Encode` for those in responses.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::model::{Member, Model, Reach, Shape};
use crate::names;

pub fn emit(model: &Model, reach: &Reach) -> String {
    let mut out = String::new();
    let all: BTreeSet<&String> = reach.requests.union(&reach.responses).collect();
    for name in all {
        emit_struct(&mut out, model, name);
        if reach.requests.contains(name) {
            emit_decode(&mut out, model, name);
        }
        if reach.responses.contains(name) {
            emit_encode(&mut out, model, name);
        }
    }
    emit_checks(&mut out, model, reach);
    out
}

fn emit_struct(out: &mut String, model: &Model, name: &str) {
    let members = model.members(name);
    line(out, &format!("/// EC2's `{name}`."));
    line(out, "#[derive(Debug, Clone, Default, PartialEq)]");
    line(out, &format!("pub struct {name} {{"));
    for m in members {
        line(out, &format!("    /// `{}`{}.", m.name, doc(model, m)));
        line(out, &format!("    pub {}: {},", names::field(&m.name), member_type(model, &m.shape)));
    }
    line(out, "}");
}

/// What the type does not say: that the member is required, and the values of a small enumeration.
fn doc(model: &Model, m: &Member) -> String {
    let mut doc = String::new();
    if m.required {
        doc.push_str(", required");
    }
    let of = match model.shape(&m.shape) {
        Shape::List { of, .. } => of,
        _ => &m.shape,
    };
    if let Shape::Enum(values) = model.shape(of)
        && values.len() <= 16
    {
        write!(doc, ": `{}`", values.join("`, `")).expect("writing to a String");
    }
    doc
}

fn member_type(model: &Model, shape: &str) -> String {
    match model.shape(shape) {
        Shape::List { of, .. } => format!("Vec<{}>", value_type(model, of)),
        _ => format!("Option<{}>", value_type(model, shape)),
    }
}

fn value_type(model: &Model, shape: &str) -> String {
    match model.shape(shape) {
        Shape::Struct(_) => shape.to_owned(),
        Shape::List { of, .. } => format!("Vec<{}>", value_type(model, of)),
        Shape::Enum(_) => "String".to_owned(),
        Shape::Scalar { kind, .. } => match kind.as_str() {
            "integer" | "long" => "i64",
            "double" | "float" => "f64",
            "boolean" => "bool",
            "timestamp" => "Timestamp",
            _ => "String",
        }
        .to_owned(),
    }
}

fn emit_decode(out: &mut String, model: &Model, name: &str) {
    let members = model.members(name);
    line(out, &format!("impl Decode for {name} {{"));
    line(out, "    const MEMBERS: &'static [Member] = &[");
    for m in members {
        let check = member_check(model, m).unwrap_or_else(|| "Check::Any".to_owned());
        line(out, &format!("        Member {{ name: {:?}, required: {}, check: {check} }},", m.query, m.required));
    }
    line(out, "    ];");
    let binding = if members.is_empty() { "_" } else { "f" };
    line(out, &format!("    fn decode({binding}: &Fields<'_>) -> Result<Self, ApiError> {{"));
    line(out, "        Ok(Self {");
    for (i, m) in members.iter().enumerate() {
        line(out, &format!("            {}: f.get({i})?,", names::field(&m.name)));
    }
    line(out, "        })\n    }\n}");
}

fn member_check(model: &Model, m: &Member) -> Option<String> {
    if m.is_page_limit() {
        let (min, max) = model.page_bounds(m);
        return Some(format!("Check::Int {{ min: {min}, max: {max} }}"));
    }
    check_of(model, &m.shape)
}

/// The expression of what a value must satisfy beyond its type.
fn check_of(model: &Model, shape: &str) -> Option<String> {
    match model.shape(shape) {
        Shape::Struct(_) => None,
        Shape::Enum(_) if model.open_enums.contains(shape) => None,
        Shape::Enum(_) => Some(format!("Check::OneOf({})", names::constant(shape))),
        Shape::List { of, min, max } => match (check_of(model, of), min, max) {
            (None, None, None) => None,
            (of, min, max) => {
                let of = of.unwrap_or_else(|| "Check::Any".to_owned());
                Some(format!("Check::List {{ {}, of: &{of} }}", bounds(*min, *max, 0, i64::MAX)))
            }
        },
        Shape::Scalar { kind, min, max } => match kind.as_str() {
            "integer" => Some(format!("Check::Int {{ {} }}", bounds(*min, *max, i32::MIN.into(), i32::MAX.into()))),
            "long" if min.is_some() || max.is_some() => {
                Some(format!("Check::Int {{ {} }}", bounds(*min, *max, i64::MIN, i64::MAX)))
            }
            "string" if min.is_some() || max.is_some() => {
                Some(format!("Check::Length {{ {} }}", bounds(*min, *max, 0, i64::MAX)))
            }
            _ => None,
        },
    }
}

fn bounds(min: Option<i64>, max: Option<i64>, least: i64, most: i64) -> String {
    format!("min: {}, max: {}", min.unwrap_or(least), max.unwrap_or(most))
}

fn emit_encode(out: &mut String, model: &Model, name: &str) {
    let members = model.members(name);
    line(out, &format!("impl Encode for {name} {{"));
    let binding = if members.is_empty() { "_" } else { "x" };
    line(out, &format!("    fn encode(&self, {binding}: &mut Xml) {{"));
    for m in members {
        let call = if model.absent_when_empty.contains(&format!("{name}.{}", m.name)) { "put_some" } else { "put" };
        line(out, &format!("        self.{}.{call}(x, {:?});", names::field(&m.name), m.xml));
    }
    line(out, "    }\n}");
}

/// The value lists of the enumerations that request members are checked against.
fn emit_checks(out: &mut String, model: &Model, reach: &Reach) {
    let mut used = BTreeSet::new();
    for name in &reach.requests {
        for m in model.members(name) {
            let of = match model.shape(&m.shape) {
                Shape::List { of, .. } => of,
                _ => &m.shape,
            };
            if let Shape::Enum(values) = model.shape(of)
                && !model.open_enums.contains(of)
            {
                used.insert((of, values));
            }
        }
    }
    for (name, values) in used {
        line(out, &format!("static {}: &[&str] = &{values:?};", names::constant(name)));
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
