//! What registries get: the crates that are published, packed as crates.io receives them.

use serde_json::Value;

use crate::run::Line;
use crate::tools::target;

/// Maximum size of a packed crate at crates.io, in bytes.
const LIMIT: u64 = 10 << 20;

/// Packs every crate that is published, and checks what crates.io asks for. Nothing is built: the tests of the workspace do that.
pub(crate) fn check() -> Result<(), String> {
    let metadata = Line::cargo().args("metadata --no-deps --format-version 1").output()?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|e| format!("cargo metadata: {e}"))?;
    let all = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    // `publish = false` is an empty list of registries.
    let (published, kept): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|p| p["publish"].is_null());
    let faults: Vec<String> = published.iter().flat_map(|package| faults(package, &kept)).collect();
    if !faults.is_empty() {
        return Err(format!("crates that cannot be published:\n  {}", faults.join("\n  ")));
    }
    let pack = |options: &str| {
        let line = Line::cargo().args("package --quiet --no-verify --allow-dirty").args(options);
        published.iter().fold(line, |line, package| line.arg("-p").arg(&text(package, "name")))
    };
    // What the workspace's lock file names is known already; asking the registry takes longer than packing.
    if !pack("--offline").succeeds() {
        pack("").run()?;
    }
    for package in published {
        let file =
            target().join("package").join(format!("{}-{}.crate", text(package, "name"), text(package, "version")));
        let size = file.metadata().map_err(|e| format!("{}: {e}", file.display()))?.len();
        if size > LIMIT {
            return Err(format!("{}: {size} bytes; crates.io takes {LIMIT}", file.display()));
        }
    }
    Ok(())
}

/// A field of a package, or an empty text.
fn text(package: &Value, field: &str) -> String {
    package[field].as_str().unwrap_or_default().to_owned()
}

/// What a package lacks: fields, and dependencies that are published too.
fn faults(package: &Value, kept: &[&Value]) -> Vec<String> {
    let name = text(package, "name");
    let missing = ["description", "license", "readme"].into_iter().filter(|field| text(package, field).is_empty());
    let mut faults: Vec<String> = missing.map(|field| format!("{name}: {field} is missing")).collect();
    for list in ["keywords", "categories"] {
        if package[list].as_array().is_none_or(Vec::is_empty) {
            faults.push(format!("{name}: {list} are missing"));
        }
    }
    for dependency in package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let needed = text(dependency, "name");
        let is_kept = kept.iter().any(|other| text(other, "name") == needed);
        // Packages leave out tests' dependencies that are given by path alone.
        let left_out = text(dependency, "kind") == "dev" && text(dependency, "req") == "*";
        if is_kept && !left_out {
            faults.push(format!("{name}: it depends on {needed}, which has `publish = false`"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_of_packages_are_named() {
        let kept = json!({ "name": "inner" });
        let package = json!({
            "name": "outer", "description": "What it does.", "license": "MIT", "readme": "README.md", "keywords": ["video"],
            "categories": [],
            "dependencies": [{ "name": "inner", "kind": null, "req": "^1" }, { "name": "inner", "kind": "dev", "req": "*" }],
        });
        let expected = ["outer: categories are missing", "outer: it depends on inner, which has `publish = false`"];
        assert_eq!(faults(&package, &[&kept]), expected);
    }
}
