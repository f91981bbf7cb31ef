//! The table of planted bugs and the places in the sources belong together, in every build: also in those that have neither.

use std::collections::BTreeMap;

use super::house::sources;

#[path = "../../src/planted/table.rs"]
#[allow(unreachable_pub, reason = "the table is the crate's, and read here as it stands")]
mod table;

/// How many lines one place may take.
const LINES_MAX: usize = 5;

/// Where a planted bug is.
struct Site {
    number: u16,
    file: String,
    lines: usize,
}

#[test]
fn planted_bugs_are_numbered_from_one() {
    let numbers: Vec<usize> = table::ALL.iter().map(|bug| bug.number.into()).collect();
    assert_eq!(numbers, (1..=table::ALL.len()).collect::<Vec<_>>());
    assert!(table::ALL.len() >= 40, "there are {} planted bugs", table::ALL.len());
    let names: BTreeMap<&str, u16> = table::ALL.iter().map(|bug| (bug.name, bug.number)).collect();
    assert_eq!(names.len(), table::ALL.len(), "two planted bugs have one name");
    assert!(table::ALL.iter().all(|bug| !bug.rule.is_empty() && !bug.breaks.is_empty()));
}

#[test]
fn planted_bugs_are_where_the_table_says() {
    let mut found: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for site in sites() {
        found.entry(site.number).or_default().push(site.file);
    }
    found.values_mut().for_each(|files| files.sort());
    let told = table::ALL.iter().map(|bug| {
        let mut files: Vec<String> = bug.files.iter().map(|file| (*file).to_owned()).collect();
        files.sort();
        (bug.number, files)
    });
    assert_eq!(found, told.collect());
}

#[test]
fn planted_bugs_are_short() {
    let long: Vec<String> = sites()
        .into_iter()
        .filter(|site| site.lines > LINES_MAX)
        .map(|site| format!("{} in {}: {} lines", site.number, site.file, site.lines))
        .collect();
    assert!(long.is_empty(), "a planted bug takes at most {LINES_MAX} lines:\n{}", long.join("\n"));
}

/// Every `planted!(n)` in the crate's sources.
fn sites() -> Vec<Site> {
    let all = sources().into_iter().filter(|(module, _, _)| module != "planted");
    all.flat_map(|(_, path, text)| {
        let file = path.to_string_lossy().into_owned();
        let places = text.match_indices("planted!(").map(|(at, opening)| {
            let behind = text.get(at + opening.len()..).unwrap_or_default();
            let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
            Site { number: digits.parse().unwrap(), file: file.clone(), lines: lines_of(behind) }
        });
        places.collect::<Vec<_>>()
    })
    .collect()
}

/// How many lines a place takes: those of the block that begins on its line, or that line alone.
fn lines_of(behind: &str) -> usize {
    let mut depth = 0;
    for (count, line) in behind.lines().enumerate() {
        for c in line.chars() {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
        }
        if depth <= 0 {
            // The line with the condition and the closing brace are not counted.
            return count.saturating_sub(1).max(1);
        }
    }
    usize::MAX
}
