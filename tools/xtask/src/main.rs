//! Chores of the repository: `cargo run -p xtask -- check` (what `./test style` runs) and `… -- generate`.

mod api_coverage;
mod drop_reasons;
mod layers;
mod licences;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// A page that is made from code: where it lies and what it must say.
struct Page {
    path: &'static str,
    text: String,
}

fn main() -> Result<()> {
    let root = repository()?;
    match std::env::args().nth(1).as_deref() {
        Some("check") => check(&root),
        Some("generate") => generate(&root),
        _ => bail!("usage: cargo run -p xtask -- check|generate"),
    }
}

fn repository() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().and_then(Path::parent).context("xtask lies two folders below the root")?;
    Ok(root.to_path_buf())
}

fn pages() -> Vec<Page> {
    vec![
        Page { path: "docs/api-coverage.md", text: api_coverage::page() },
        Page { path: "docs/drop-reasons.md", text: drop_reasons::page() },
    ]
}

fn generate(root: &Path) -> Result<()> {
    for page in pages() {
        std::fs::write(root.join(page.path), page.text).with_context(|| format!("writing {}", page.path))?;
        println!("wrote {}", page.path);
    }
    Ok(())
}

fn check(root: &Path) -> Result<()> {
    let metadata = layers::metadata(root)?;
    let mut faults = layers::faults(&metadata)?;
    faults.extend(licences::faults(&metadata)?);
    for page in pages() {
        if std::fs::read_to_string(root.join(page.path)).ok().as_deref() != Some(&page.text) {
            faults.push(format!("{} is not what the code says: run 'cargo run -p xtask -- generate'", page.path));
        }
    }
    if faults.is_empty() {
        println!("layers, licences and generated pages are as they should be");
        return Ok(());
    }
    bail!("{}", faults.join("\n"))
}
