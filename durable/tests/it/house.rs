//! Which floor imports what: imports point down only.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors, from the ground up, with the modules on each.
const FLOORS: [&[&str]; 5] = [
    &["kernel", "planted"],
    &["codec", "error", "seams"],
    &["store"],
    &["workflow", "activity", "payload", "registry"],
    &["runtime"],
];

/// The crates that the two lowest floors may name, beside `std` and `core`.
const PURE: [(&str, &[&str]); 2] = [("kernel", &["siphasher"]), ("codec", &["bincode", "crc32fast", "siphasher"])];

/// The crates of the default build that the lowest floors must not name.
const FOREIGN: [&str; 12] = [
    "bincode",
    "crc32fast",
    "futures",
    "pin_project",
    "rmp_serde",
    "rustix",
    "serde",
    "serde_json",
    "siphasher",
    "sled",
    "tokio",
    "tracing",
];

#[test]
fn imports_point_down() {
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|(_, path, _)| path.file_name().is_some_and(|name| name != "tests.rs"))
        .filter_map(|(module, path, text)| Some((floor(&module)?, path, text)))
        .flat_map(|(own, path, text)| {
            let above = named(&text).into_iter().filter(move |used| floor(used).is_some_and(|used| used > own));
            above.map(|used| format!("{} names `crate::{used}`", path.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "a lower floor knows of a higher one:\n{}", wrong.join("\n"));
}

#[test]
fn kernel_and_codec_name_no_foreign_crate() {
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter_map(|(module, path, text)| {
            let (_, allowed) = PURE.iter().find(|(pure, _)| *pure == module)?;
            Some((allowed, path, text))
        })
        .flat_map(|(allowed, path, text)| {
            let foreign = FOREIGN.iter().filter(|name| !allowed.contains(name) && text.contains(&format!("{name}::")));
            foreign.map(|name| format!("{} names `{name}`", path.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "the lowest floors are pure:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_stands_on_a_floor() {
    let known = ["lib", "prelude", "private", "script"];
    let homeless: Vec<String> = sources()
        .into_iter()
        .filter(|(module, _, _)| floor(module).is_none() && !known.contains(&module.as_str()))
        .map(|(module, _, _)| module)
        .collect();
    assert!(homeless.is_empty(), "on no floor: {homeless:?}");
}

#[test]
fn every_file_says_what_it_is() {
    // The crate's own first words are the README.
    let says = |text: &str| text.starts_with("//!") || text.starts_with("#![doc = include_str!");
    let silent: Vec<PathBuf> =
        sources().into_iter().filter(|(_, _, text)| !says(text)).map(|(_, path, _)| path).collect();
    assert!(silent.is_empty(), "without a first line that says what they are: {silent:?}");
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// The modules of the crate that a source names, outside its tests and comments.
fn named(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let uses = lines.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>());
    uses.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

/// All sources of the crate: their module, path and text.
pub(crate) fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    assert!(found.len() > 30, "the sources were not found");
    found
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<(String, PathBuf, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(root).unwrap();
            let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            found.push((module, inside.to_path_buf(), text));
        }
    }
}
