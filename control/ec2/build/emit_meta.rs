//! Writes the table of what is known about every action, generated or not, sorted by name.

use std::fmt::Write;

use crate::model::{ActionDef, Member, Model};

pub fn emit(model: &Model) -> String {
    let mut out = String::from("static ACTIONS: &[ActionMeta] = &[\n");
    for action in model.actions.values() {
        emit_action(&mut out, model, action);
    }
    out.push_str("];\n\nstatic OTHER_ACTIONS: &[&str] = &[\n");
    for name in &model.others {
        writeln!(out, "    {name:?},").expect("writing to a String");
    }
    out.push_str("];\n\nstatic GENERATED: &[&str] = &[\n");
    for name in &model.chosen {
        writeln!(out, "    {name:?},").expect("writing to a String");
    }
    out.push_str("];\n");
    out
}

fn emit_action(out: &mut String, model: &Model, action: &ActionDef) {
    let members = model.members(&action.input);
    let required: Vec<&str> = members.iter().filter(|m| m.required).map(|m| m.query.as_str()).collect();
    let has = |name: &str| members.iter().any(|m| m.name == name);
    let token = members.iter().any(|m| m.idempotency_token || m.name == "ClientToken");
    writeln!(
        out,
        "    ActionMeta {{ name: {:?}, area: {:?}, service: {}, generated: {}, required: &{required:?}, filters: &[{}], \
         page: {}, dry_run: {}, client_token: {token} }},",
        action.name,
        action.area,
        if action.service == "sts" { "Service::Sts" } else { "Service::Ec2" },
        model.chosen.contains(&action.name),
        filters(action),
        page(model, members),
        has("DryRun"),
    )
    .expect("writing to a String");
}

fn filters(action: &ActionDef) -> String {
    let one = |(name, values): &(String, Vec<String>)| format!("FilterMeta {{ name: {name:?}, values: &{values:?} }}");
    action.filters.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn page(model: &Model, members: &[Member]) -> String {
    let Some(limit) = members.iter().find(|m| m.is_page_limit()) else { return "None".to_owned() };
    let (min, max) = model.page_bounds(limit);
    format!("Some(PageMeta {{ min: {min}, max: {max} }})")
}
