//! Writes the `Action` and `Reply` enums, one variant for each chosen action, and their dispatch.

use crate::model::{ActionDef, Model};

pub fn emit(model: &Model) -> String {
    let mut out = String::new();
    emit_action(&mut out, model);
    emit_reply(&mut out, model);
    out
}

fn emit_action(out: &mut String, model: &Model) {
    out.push_str("/// A decoded request: one variant for each action that shapes are generated for.\n");
    out.push_str("#[derive(Debug, Clone, PartialEq)]\n#[allow(clippy::large_enum_variant)]\npub enum Action {\n");
    each(out, model, |a| format!("    /// `{0}`.\n    {0}(shapes::{1}),\n", a.name, a.input));
    out.push_str(
        "}\n\nimpl Action {\n    /// The action's name on the wire.\n    pub fn name(&self) -> &'static str {\n",
    );
    out.push_str("        match self {\n");
    each(out, model, |a| format!("            Action::{0}(_) => {0:?},\n", a.name));
    out.push_str("        }\n    }\n\n");
    out.push_str("    pub(crate) fn decode(name: &str, f: Node<'_>) -> Result<Option<Action>, ApiError> {\n");
    out.push_str("        Ok(Some(match name {\n");
    each(out, model, |a| format!("            {0:?} => Action::{0}(structure(f)?),\n", a.name));
    out.push_str("            _ => return Ok(None),\n        }))\n    }\n}\n\n");
}

fn emit_reply(out: &mut String, model: &Model) {
    out.push_str(
        "/// A successful answer. An action that answers with nothing but success is a variant without a value.\n",
    );
    out.push_str("#[derive(Debug, Clone, PartialEq)]\n#[allow(clippy::large_enum_variant)]\npub enum Reply {\n");
    each(out, model, |a| {
        let value = a.output.as_ref().map(|o| format!("(shapes::{o})")).unwrap_or_default();
        format!("    /// `{0}`.\n    {0}{value},\n", a.name)
    });
    out.push_str("}\n\nimpl Reply {\n    /// The name of the action that this answers.\n");
    out.push_str("    pub fn name(&self) -> &'static str {\n        match self {\n");
    each(out, model, |a| {
        let value = if a.output.is_some() { "(_)" } else { "" };
        format!("            Reply::{0}{value} => {0:?},\n", a.name)
    });
    out.push_str("        }\n    }\n\n    pub(crate) fn encode(&self, x: &mut Xml) {\n        match self {\n");
    each(out, model, |a| match a.output {
        Some(_) => format!("            Reply::{}(value) => value.encode(x),\n", a.name),
        None => format!("            Reply::{} => x.done(),\n", a.name),
    });
    out.push_str("        }\n    }\n}\n");
}

fn each(out: &mut String, model: &Model, text: impl Fn(&ActionDef) -> String) {
    model.chosen_actions().for_each(|a| out.push_str(&text(a)));
}
