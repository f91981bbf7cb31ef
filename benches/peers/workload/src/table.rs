//! The table: one part for each load, the peers in the order in which their lines came.

use std::fmt::Write;

use crate::{Line, Measured, Outcome, Work};

/// Whose figures are divided by those of the others.
const OURS: &str = "durable";
/// Whose row is the first.
const FLOOR: &str = "bare log";
const HEADS: [&str; 9] =
    ["peer", "workflows/s", "steps/s", "CPU us/step", "p50 ms", "p99 ms", "ours/peer", "version", "durability"];
/// The columns whose cells stand at the left.
const WORDS: [usize; 3] = [0, 7, 8];
/// What a failed program printed may be long; its end says why.
const REASON: usize = 160;

type Row = [String; 9];

/// All lines as one table. Of what was measured several times, the median.
#[must_use]
pub fn render(lines: &[Line]) -> String {
    let lines = medians(lines);
    let loads = loads(&lines);
    let parts: Vec<Vec<Row>> = loads.iter().map(|load| rows(&lines, *load)).collect();
    let widths = widths(parts.iter().flatten());
    let mut text = String::new();
    for (load, rows) in loads.iter().zip(&parts) {
        writeln!(text, "{}", title(*load)).expect("a String takes all");
        write_row(&mut text, &HEADS.map(str::to_owned), &widths);
        rows.iter().for_each(|row| write_row(&mut text, row, &widths));
        text.push('\n');
    }
    text
}

/// One line for all of the same peer, variant and load: the middle one by what was done in a second, where a failure is nothing done.
fn medians(lines: &[Line]) -> Vec<Line> {
    let same =
        |a: &Line, b: &Line| (&a.peer, &a.variant, a.work, a.at_once) == (&b.peer, &b.variant, b.work, b.at_once);
    let firsts = lines.iter().enumerate().filter(|(at, line)| !lines[..*at].iter().any(|before| same(before, line)));
    firsts.map(|(_, line)| median(lines.iter().filter(|other| same(line, other)).collect())).collect()
}

fn median(mut lines: Vec<&Line>) -> Line {
    let done = |line: &Line| measured(line).map_or(0.0, |it| it.workflows_per_second);
    lines.sort_by(|a, b| done(a).total_cmp(&done(b)));
    lines[lines.len() / 2].clone()
}

type Load = (Work, usize);

fn loads(lines: &[Line]) -> Vec<Load> {
    let mut loads: Vec<Load> = lines.iter().map(|line| (line.work, line.at_once)).collect();
    loads.sort_by_key(|(work, at_once)| (*work != Work::Steps, *at_once));
    loads.dedup();
    loads
}

fn title((work, at_once): Load) -> String {
    let work = match work {
        Work::Steps => format!("{} steps that do nothing, one after the other", Work::STEPS),
        Work::Timer => format!("one timer of {} ms", Work::NAP.as_millis()),
    };
    match at_once {
        1 => format!("A workflow: {work}. One workflow at a time."),
        many => format!("A workflow: {work}. {many} workflows at once."),
    }
}

fn rows(lines: &[Line], load: Load) -> Vec<Row> {
    let mut mine: Vec<&Line> = lines.iter().filter(|line| (line.work, line.at_once) == load).collect();
    mine.sort_by_key(|line| line.peer != FLOOR);
    let ours = mine.iter().find(|line| line.peer == OURS).and_then(|line| measured(line));
    mine.iter().map(|line| row(line, ours)).collect()
}

fn measured(line: &Line) -> Option<&Measured> {
    match &line.outcome {
        Outcome::Measured(measured) => Some(measured),
        Outcome::Failed(_) => None,
    }
}

fn row(line: &Line, ours: Option<&Measured>) -> Row {
    let peer = if line.variant.is_empty() { line.peer.clone() } else { format!("{}, {}", line.peer, line.variant) };
    let none = || "-".to_owned();
    match &line.outcome {
        Outcome::Measured(it) => [
            peer,
            figure(Some(it.workflows_per_second)),
            figure(it.steps_per_second),
            figure(it.cpu_us_per_step),
            figure(it.p50_ms),
            figure(it.p99_ms),
            figure(ours.map(|ours| ours.workflows_per_second / it.workflows_per_second)),
            line.version.clone(),
            line.durability.clone(),
        ],
        Outcome::Failed(it) => {
            [peer, none(), none(), none(), none(), none(), none(), line.version.clone(), reason(&it.failed)]
        }
    }
}

/// Three digits that matter.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn reason(printed: &str) -> String {
    let words = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    let skip = words.chars().count().saturating_sub(REASON);
    format!("not measured: {}", words.chars().skip(skip).collect::<String>())
}

fn widths<'a>(rows: impl Iterator<Item = &'a Row>) -> [usize; 9] {
    rows.fold(HEADS.map(str::len), |widths, row| {
        std::array::from_fn(|column| widths[column].max(row[column].chars().count()))
    })
}

fn write_row(text: &mut String, row: &Row, widths: &[usize; 9]) {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
        if WORDS.contains(&column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    let line = cells.collect::<Vec<_>>().join("  ");
    writeln!(text, "{}", line.trim_end()).expect("a String takes all");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failed;

    fn line(peer: &str, at_once: usize, outcome: Outcome) -> Line {
        let (variant, version, durability) = (String::new(), "1.2.3".into(), "synced".into());
        Line { peer: peer.into(), variant, version, durability, work: Work::Steps, at_once, outcome }
    }

    fn ran(workflows: u64) -> Outcome {
        let (second, cpu) = (std::time::Duration::from_secs(1), std::time::Duration::from_millis(10));
        Outcome::Measured(Measured::new(Work::Steps, workflows, second, Some(cpu), &[cpu], 0))
    }

    #[test]
    fn the_bare_log_stands_first_and_the_others_are_what_we_are_divided_by() {
        let failed = Outcome::Failed(Failed { failed: "it\nbroke".into() });
        let lines = [
            line("durable", 1, ran(1000)),
            line("bare log", 1, ran(2000)),
            line("slow", 1, ran(10)),
            line("broken", 1, failed),
        ];
        let text = render(&lines);
        let rows: Vec<Vec<&str>> = text.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0][..8], ["bare", "log", "2000", "10000", "1.00", "10.0", "10.0", "0.50"]);
        assert_eq!(rows[1][..7], ["durable", "1000", "5000", "2.00", "10.0", "10.0", "1.00"]);
        assert_eq!(rows[2][..7], ["slow", "10.0", "50.0", "200", "10.0", "10.0", "100"]);
        assert!(text.contains("not measured: it broke"), "{text}");
    }

    #[test]
    fn the_median_of_what_was_measured_thrice_is_shown() {
        let lines = [10, 3000, 20].map(|workflows| line("durable", 1, ran(workflows)));
        let text = render(&lines);
        assert_eq!(text.lines().count(), 4, "a title, the heads, one row and an empty line: {text}");
        assert!(text.contains("20.0") && !text.contains("3000"), "{text}");
    }

    #[test]
    fn a_line_comes_back_as_it_was_written() {
        for outcome in [ran(7), Outcome::Failed(Failed { failed: "no".into() })] {
            let written = serde_json::to_string(&line("peer", 500, outcome)).unwrap();
            let read: Line = serde_json::from_str(&written).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), written);
        }
    }
}
