//! Generates the Rust shapes, the `Action` and `Reply` enums and the action metadata from the service
//! model in `model/`. Output: `shapes.rs`, `actions.rs` and `meta.rs` in `OUT_DIR`.

#[path = "build/emit_actions.rs"]
mod emit_actions;
#[path = "build/emit_meta.rs"]
mod emit_meta;
#[path = "build/emit_shapes.rs"]
mod emit_shapes;
#[path = "build/model.rs"]
mod model;
#[path = "build/names.rs"]
mod names;
#[path = "build/table.rs"]
mod table;

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=model");
    let model = model::Model::load(Path::new("model"));
    let reach = model.reachable();
    let out_dir = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let write = |file: &str, text: String| {
        std::fs::write(Path::new(&out_dir).join(file), text).expect("OUT_DIR is writable");
    };
    write("shapes.rs", emit_shapes::emit(&model, &reach));
    write("actions.rs", emit_actions::emit(&model));
    write("meta.rs", emit_meta::emit(&model));
}
