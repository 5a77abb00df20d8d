//! Who may use whom. The folders are the architecture, so this is a check and not goodwill.

use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What `cargo metadata` says about the workspace and everything that it depends on.
///
/// # Errors
/// cargo fails or prints something else than JSON.
pub fn metadata(root: &Path) -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("reading cargo metadata")
}

/// The folder at the root that each layer lives in, and the layers that its code (not its tests) may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("core", &["core"]),
    ("control", &["core", "control"]),
    ("dataplane", &["core", "dataplane"]),
    ("clients", &["clients"]),
    ("groundplane", &["core", "control", "dataplane", "clients"]),
    ("testing", &["core", "control", "dataplane", "clients", "testing"]),
    ("tools", &["core", "control", "tools"]),
];

/// Crates that would let `core` reach the outside world.
const IMPURE: &[&str] = &["tokio", "libc", "rustix", "nix", "rand", "getrandom", "aya", "rtnetlink", "redb", "axum"];

/// # Errors
/// The metadata lacks what cargo promises.
pub fn faults(metadata: &Value) -> Result<Vec<String>> {
    let root = metadata["workspace_root"].as_str().context("no workspace_root")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let layer_of = |manifest: &str| {
        let path = Path::new(manifest).strip_prefix(root).ok()?;
        path.components().next()?.as_os_str().to_str().map(str::to_owned)
    };
    let mut faults = Vec::new();
    for package in packages.iter().filter(|p| p["source"].is_null()) {
        let name = package["name"].as_str().unwrap_or_default();
        let layer = layer_of(package["manifest_path"].as_str().unwrap_or_default()).unwrap_or_default();
        let Some((_, allowed)) = LAYERS.iter().find(|(folder, _)| *folder == layer) else {
            faults.push(format!("{name}: the folder '{layer}' is no layer"));
            continue;
        };
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        for dependency in dependencies.filter(|d| d["kind"].as_str() != Some("dev")) {
            let used = dependency["name"].as_str().unwrap_or_default();
            let target = dependency["path"].as_str().and_then(|path| layer_of(&format!("{path}/Cargo.toml")));
            if let Some(target) = target.filter(|target| !allowed.contains(&target.as_str())) {
                faults.push(format!("{name} ({layer}) must not use {used} ({target})"));
            }
            if layer == "core" && IMPURE.contains(&used) {
                faults.push(format!("{name}: core is pure and must not use {used}"));
            }
        }
    }
    Ok(faults)
}
