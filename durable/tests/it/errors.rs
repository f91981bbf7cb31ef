//! The codes of errors: each code in the sources has a section in `docs/errors.md`, each section a code in the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::docs::{headings, project, rust_sources};

/// What every section says.
const PARTS: [&str; 3] = ["**Means:** ", "**Usual cause:** ", "**What to do:** "];

#[test]
fn codes_and_sections_are_the_same() {
    let sources: BTreeSet<String> = codes_in_sources().into_keys().collect();
    let sections: BTreeSet<String> = sections(&page()).into_keys().collect();
    let unexplained: Vec<_> = sources.difference(&sections).collect();
    let unused: Vec<_> = sections.difference(&sources).collect();
    assert!(unexplained.is_empty(), "without a section in docs/errors.md: {unexplained:?}");
    assert!(unused.is_empty(), "in docs/errors.md and nowhere in the sources: {unused:?}");
}

#[test]
fn every_section_says_meaning_cause_and_way_out() {
    for (code, text) in sections(&page()) {
        for part in PARTS {
            assert_eq!(text.matches(part).count(), 1, "{code} says {part:?} once");
        }
    }
}

#[test]
fn a_section_is_written_once_and_codes_rise() {
    let page = page();
    let codes: Vec<String> = headings(&page).into_iter().filter(|heading| is_code(heading)).collect();
    assert!(codes.is_sorted_by(|before, after| before < after), "{codes:?}");
}

/// A code is the last thing that a text says, so that it is found at its end.
#[test]
fn a_code_closes_its_text() {
    let inside: Vec<String> =
        codes_in_sources().into_values().flatten().filter(|found| !found.closes).map(|found| found.at).collect();
    assert!(inside.is_empty(), "a code stands inside a text: {inside:?}");
}

#[test]
fn each_range_of_codes_belongs_to_one_part_of_the_crate() {
    let owners = [("E01", vec!["store/"]), ("E02", vec!["kernel/", "runtime/"]), ("E03", vec!["runtime/", "error.rs"])];
    // What a request is told while the disk is full is the store's affair, though a handle says it.
    let lent = "E0109";
    for (code, found) in codes_in_sources() {
        let (_, parts) = owners.iter().find(|(range, _)| code.starts_with(range)).expect("because codes begin so");
        let strangers: Vec<_> =
            found.iter().filter(|found| !parts.iter().any(|part| found.at.starts_with(part))).collect();
        assert!(strangers.is_empty() || code == lent, "{code} is said by {strangers:?}");
    }
}

#[test]
fn codes_are_found_where_they_are() {
    let text = "// [E0001]\nwrite!(f, \"gone [E0002]\")?;\n\"a [E0003] b\"; error[E0277]";
    let found: Vec<_> = codes(text).map(|(line, code, closes)| (line, code.to_owned(), closes)).collect();
    assert_eq!(found, [(2, "E0002".to_owned(), true), (3, "E0003".to_owned(), false)]);
}

#[derive(Debug)]
struct Found {
    at: String,
    closes: bool,
}

fn page() -> String {
    fs::read_to_string(project().join("docs/errors.md")).unwrap()
}

/// The sections under a code, by code.
fn sections(page: &str) -> BTreeMap<String, String> {
    let parts = page.split("\n#").skip(1);
    let headed = parts.filter_map(|part| part.trim_start_matches('#').split_once('\n'));
    headed.map(|(head, body)| (head.trim().to_owned(), body.to_owned())).filter(|(head, _)| is_code(head)).collect()
}

fn is_code(text: &str) -> bool {
    text.len() == 5 && text.starts_with('E') && text.bytes().skip(1).all(|byte| byte.is_ascii_digit())
}

fn codes_in_sources() -> BTreeMap<String, Vec<Found>> {
    let root = project().join("durable/src");
    let mut found: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    // The scripts show what is told, they do not tell it.
    let sources = rust_sources(&root).into_iter().filter(|path| !path.starts_with(root.join("script")));
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        for (line, code, closes) in codes(&text) {
            let at = format!("{}:{line}", inside(&path, &root));
            found.entry(code.to_owned()).or_default().push(Found { at, closes });
        }
    }
    assert!(found.len() > 40, "the sources were not found");
    found
}

fn inside(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap().to_string_lossy().into_owned()
}

/// The codes in a source, outside its comments: line, code, and whether the text ends with it.
fn codes(source: &str) -> impl Iterator<Item = (usize, &str, bool)> {
    let lines = source.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines.flat_map(|(number, line)| {
        let brackets = line.match_indices(" [E").filter_map(|(at, _)| line.get(at + 2..));
        brackets.filter_map(move |rest| {
            let (code, after) = rest.split_once(']')?;
            is_code(code).then_some((number + 1, code, after.starts_with('"')))
        })
    })
}
