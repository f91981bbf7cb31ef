//! The documents: their links are alive, what they name in the sources is there, and every dependency has its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_link_is_alive() {
    let dead: Vec<String> = pages().iter().flat_map(|page| dead_links(page, &read(page))).collect();
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

/// Each row of the README's table of guarantees links the test that shows it.
#[test]
fn every_guarantee_names_its_test() {
    let readme = project().join("README.md");
    let wrong = unproven(&readme, &read(&readme));
    assert!(wrong.is_empty(), "guarantees without a test:\n{}", wrong.join("\n"));
}

/// What the README shows is the example, to the letter.
#[test]
fn the_readme_shows_the_example() {
    let example = read(&project().join("examples/hello.rs"));
    let readme = read(&project().join("README.md"));
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "README.md and examples/hello.rs differ");
}

#[test]
fn every_dependency_has_its_reason() {
    let told = dependencies_told(&read(&project().join("docs/decisions/dependencies.md")));
    for (package, manifest) in manifests() {
        let direct = dependencies(&manifest);
        let told = told.get(&package).cloned().unwrap_or_default();
        assert_eq!(told, direct, "docs/decisions/dependencies.md and Cargo.toml of `{package}`");
    }
    let packages: BTreeSet<_> = manifests().into_iter().map(|(package, _)| package).collect();
    assert_eq!(told.into_keys().collect::<BTreeSet<_>>(), packages, "packages");
}

#[test]
fn decisions_are_numbered_without_gaps_and_say_all_that_they_should() {
    let mut numbered: Vec<PathBuf> = pages().into_iter().filter(|page| name(page).starts_with('0')).collect();
    numbered.sort();
    assert!(!numbered.is_empty(), "the decisions were not found");
    for (number, page) in (1..).zip(&numbered) {
        assert!(name(page).starts_with(&format!("{number:04}-")), "{} is out of order", page.display());
        let headings = headings(&read(page));
        let parts: Vec<&str> = headings.iter().skip(1).map(String::as_str).collect();
        assert_eq!(parts, ["Context", "Decision", "Why", "Cost"], "{}", page.display());
    }
}

#[test]
fn dead_links_are_seen() {
    let page = project().join("docs/sample.md");
    let text = "# A page, and `more`\n[x](errors.md#e0101) [y](../README.md) [z](#a-page-and-more) [w](https://example.org/)\n\
                [`imports_point_down`](../durable/tests/it/house.rs)\n```\n[not a link](nowhere.md)\n```\n`[code](nowhere.md)`\n";
    assert_eq!(dead_links(&page, text), Vec::<String>::new());
    for dead in [
        "[x](nowhere.md)",
        "[x](errors.md#e9999)",
        "[x](#nothing)",
        "[`imports_point_up`](../durable/tests/it/house.rs)",
        "[`fn imports_point`](../durable/tests/it/house.rs)",
        "[x](../durable/src/nowhere)",
    ] {
        assert_eq!(dead_links(&page, dead).len(), 1, "{dead}");
    }
}

#[test]
fn a_guarantee_without_a_test_is_seen() {
    let readme = project().join("README.md");
    let table = |cell: &str| {
        format!(
            "| Guarantee | Test |\n|---|---|\n| imports point down | {cell} |\n\n| other | x |\n|---|---|\n| y | z |\n"
        )
    };
    let good = table("[`imports_point_down`](durable/tests/it/house.rs)");
    assert_eq!(unproven(&readme, &good), Vec::<String>::new());
    for bad in [
        "none",
        "[`floor`](durable/tests/it/house.rs)",
        "[`imports_point_up`](durable/tests/it/house.rs)",
        "[imports](durable/tests/it/house.rs)",
        "[`imports_point_down`](docs/errors.md)",
    ] {
        assert_eq!(unproven(&readme, &table(bad)).len(), 1, "{bad}");
    }
}

/// The project's folder.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// All Rust sources under a folder.
pub(crate) fn rust_sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(root, "rs", &mut found);
    found
}

/// The headings of a page, without their marks.
pub(crate) fn headings(page: &str) -> Vec<String> {
    let heads = outside_fences(page).map(str::to_owned).filter(|line| line.starts_with('#')).collect::<Vec<_>>();
    heads.iter().map(|line| line.trim_start_matches('#').trim().to_owned()).collect()
}

/// A link in a page.
#[derive(Debug)]
struct Link<'a> {
    text: &'a str,
    path: &'a str,
    anchor: Option<&'a str>,
}

/// The README and everything under `docs/`.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![project().join("README.md")];
    walk(&project().join("docs"), "md", &mut pages);
    assert!(pages.len() > 3, "the documents were not found");
    pages
}

fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn dead_links(page: &Path, text: &str) -> Vec<String> {
    let links: Vec<Link<'_>> = outside_fences(text).flat_map(links).collect();
    let dead = links.iter().filter_map(|link| Some((link, why_dead(page, text, link)?)));
    dead.map(|(link, why)| format!("{}: [{}]({}): {why}", page.display(), link.text, link.path)).collect()
}

fn why_dead(page: &Path, text: &str, link: &Link<'_>) -> Option<String> {
    if link.path.contains("://") || link.path.starts_with("mailto:") {
        return None;
    }
    let target = page.parent().unwrap().join(link.path);
    if !link.path.is_empty() && !target.exists() {
        return Some("there is no such file".to_owned());
    }
    if let Some(anchor) = link.anchor {
        let text = if link.path.is_empty() { text.to_owned() } else { read(&target) };
        return (!anchors(&text).contains(anchor)).then(|| format!("there is no heading #{anchor}"));
    }
    let item = named_item(link).filter(|_| link.path.ends_with(".rs"))?;
    (!defines(&read(&target), item)).then(|| format!("`{item}` is not defined there"))
}

/// The lines of a page that stand in no fenced block.
fn outside_fences(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The links of a line, outside code spans; a code span may be a link's text.
fn links(line: &str) -> Vec<Link<'_>> {
    let ends = line.match_indices("](").map(|(at, _)| at);
    let found = ends.filter_map(|at| {
        let (before, after) = (line.get(..at)?, line.get(at + 2..)?);
        let text = before.get(before.rfind('[')? + 1..)?;
        let in_code = before.matches('`').count() % 2 == 1;
        let (target, _) = after.split_once(')')?;
        let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
        (!in_code).then_some(Link { text, path, anchor })
    });
    found.collect()
}

/// What a link's text names in the sources: one item in code, with or without `fn`, its path or `()`.
fn named_item<'a>(link: &Link<'a>) -> Option<&'a str> {
    let code = link.text.strip_prefix('`')?.strip_suffix('`')?;
    let code = code.strip_prefix("fn ").unwrap_or(code).trim_end_matches("()");
    let item = code.rsplit("::").next()?;
    let is_name = !item.is_empty() && item.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_name.then_some(item)
}

fn defines(source: &str, item: &str) -> bool {
    let keywords = ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "macro_rules!"];
    let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    keywords.iter().any(|keyword| {
        let definition = format!("{keyword} {item}");
        source.match_indices(&definition).any(|(at, _)| source.get(at + definition.len()..).is_some_and(is_end))
    })
}

/// The anchors that a page's headings have, as code hosts make them.
fn anchors(page: &str) -> BTreeSet<String> {
    headings(page).iter().map(|heading| anchor(heading)).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// The rows of the tables whose first column is headed "guarantee" that do not link a test.
fn unproven(page: &Path, text: &str) -> Vec<String> {
    let mut inside = false;
    let mut wrong = Vec::new();
    for line in outside_fences(text) {
        let Some(row) = line.trim().strip_prefix('|') else {
            inside = false;
            continue;
        };
        let first = row.split('|').next().unwrap_or_default().trim().to_lowercase();
        if !inside {
            inside = first.starts_with("guarantee");
        } else if !first.chars().all(|c| matches!(c, '-' | ':')) && !links(line).iter().any(|link| is_test(page, link))
        {
            wrong.push(line.to_owned());
        }
    }
    wrong
}

/// Whether a link names a test function, in the file that it leads to.
fn is_test(page: &Path, link: &Link<'_>) -> bool {
    let target = page.parent().unwrap().join(link.path);
    let Some(test) = named_item(link).filter(|_| link.path.ends_with(".rs") && target.exists()) else { return false };
    let source = read(&target);
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| line.contains(&format!("fn {test}(")));
    starts.into_iter().any(|(at, _)| {
        let above = lines.iter().take(at).rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        above
            .into_iter()
            .any(|line| line.starts_with("#[test]") || line.contains("::test]") || line.contains("::test("))
    })
}

/// The packages of the project, with their manifests.
fn manifests() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(project()).unwrap() {
        let manifest = entry.unwrap().path().join("Cargo.toml");
        if manifest.exists() {
            let text = read(&manifest);
            let name = text.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
            found.push((name.trim_matches('"').to_owned(), text));
        }
    }
    assert!(found.len() > 3, "the packages were not found");
    found
}

/// The direct dependencies of a package, those of its tests among them.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            found.extend((!name.is_empty() && !name.starts_with('#')).then(|| name.to_owned()));
        }
    }
    found
}

/// The dependencies that the document gives a reason for, by package: a table each, under the package's name.
fn dependencies_told(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut package = String::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            package = heading.trim_matches('`').to_owned();
        } else if let Some(row) = line.strip_prefix("| `") {
            let cells: Vec<&str> = row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
            assert!(cells.len() >= 3, "name, licence and reason: {line}");
            let name = cells.first().copied().unwrap_or_default().trim_end_matches('`');
            told.entry(package.clone()).or_default().insert(name.to_owned());
        }
    }
    told
}
