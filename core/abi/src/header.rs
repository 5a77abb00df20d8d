//! The C twin of this crate's structs and constants, as text.

use crate::shared::{Field, Struct};
use crate::{CONSTANTS, STRUCTS};
use std::fmt::Write;

/// The text of `dataplane/bpf/generated/abi.h`.
pub fn text() -> String {
    let mut out = String::from(
        "/* Generated from core/abi; a test of gp-compile compares, and rewrites it with UPDATE=1. */\n\
         #pragma once\n\n#include <linux/types.h>\n\n",
    );
    for (name, value) in CONSTANTS {
        define(&mut out, name, *value);
    }
    for shared in STRUCTS {
        declare(&mut out, shared);
    }
    out
}

fn define(out: &mut String, name: &str, value: u64) {
    writeln!(out, "#define GP_{name} {value}u").expect("a String takes all that is written to it");
}

fn declare(out: &mut String, shared: &Struct) {
    let name = format!("struct gp_{}", snake_case(shared.name));
    let mut lines = vec![String::new(), format!("{name} {{")];
    lines.extend(shared.fields.iter().map(|Field { name, c, .. }| match c.elements {
        Some(elements) => format!("\t{} {name}[{elements}];", c.name),
        None => format!("\t{} {name};", c.name),
    }));
    lines.push("};".to_owned());
    lines.push(format!("_Static_assert(sizeof({name}) == {}, \"size of {name}\");", shared.bytes));
    lines.extend(shared.fields.iter().map(|field| {
        let (field, offset) = (field.name, field.offset);
        format!("_Static_assert(__builtin_offsetof({name}, {field}) == {offset}, \"offset of {name}.{field}\");")
    }));
    out.push_str(&lines.join("\n"));
    out.push('\n');
}

fn snake_case(camel: &str) -> String {
    let mut out = String::new();
    for (i, c) in camel.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_declares_each_struct_with_its_size_and_offsets() {
        let text = text();
        assert!(text.contains("struct gp_flow_key {\n\t__u8 src[16];\n"));
        assert!(text.contains("_Static_assert(sizeof(struct gp_flow_key) == 48,"));
        assert!(text.contains("_Static_assert(__builtin_offsetof(struct gp_adjacency, translate) == 24,"));
        assert!(text.contains("#define GP_CAUSE_REOPEN 3u\n"));
    }

    #[test]
    fn map_values_are_multiples_of_eight_bytes() {
        for shared in STRUCTS {
            assert_eq!(shared.bytes % 8, 0, "{}: the kernel rounds values up and copies the padding", shared.name);
        }
    }
}
