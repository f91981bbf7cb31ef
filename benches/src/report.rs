//! Rows: named figures, printed as they come, as a table or as lines of JSON. Nothing here knows what a figure means.

use std::io::Write;

use serde_json::json;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Table,
    /// One line of JSON for each row.
    Json,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Count(u64),
    /// With so many digits behind the point.
    Real(f64, usize),
    Word(String),
}

impl Value {
    fn shown(&self) -> String {
        match self {
            Value::Count(count) => count.to_string(),
            Value::Real(real, digits) => format!("{real:.digits$}"),
            Value::Word(word) => word.clone(),
        }
    }

    fn json(&self) -> String {
        match self {
            Value::Count(_) => self.shown(),
            Value::Real(real, _) if real.is_finite() => self.shown(),
            Value::Real(..) => "null".to_owned(),
            Value::Word(word) => json!(word).to_string(),
        }
    }
}

/// A row, its figures in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    figures: Vec<(&'static str, Value)>,
}

impl Row {
    /// A row of a benchmark.
    #[must_use]
    pub fn of(bench: &'static str) -> Row {
        Row::default().word("bench", bench)
    }

    /// Adds a count.
    #[must_use]
    pub fn count(mut self, name: &'static str, count: u64) -> Row {
        self.figures.push((name, Value::Count(count)));
        self
    }

    /// Adds a number with so many digits behind the point.
    #[must_use]
    pub fn real(mut self, name: &'static str, real: f64, digits: usize) -> Row {
        self.figures.push((name, Value::Real(real, digits)));
        self
    }

    /// Adds a word.
    #[must_use]
    pub fn word(mut self, name: &'static str, word: impl Into<String>) -> Row {
        self.figures.push((name, Value::Word(word.into())));
        self
    }

    /// As a line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let figures = self.figures.iter().map(|(name, value)| format!("{}:{}", json!(name), value.json()));
        format!("{{{}}}", figures.collect::<Vec<_>>().join(","))
    }

    fn names(&self) -> Vec<&'static str> {
        self.figures.iter().map(|(name, _)| *name).collect()
    }
}

/// The narrowest column of a table.
const COLUMN: usize = 8;

/// Where rows go.
#[derive(Debug)]
pub struct Report {
    output: Output,
    /// The columns under which the newest row stands.
    columns: Vec<&'static str>,
}

/// A line on the standard output. Whoever has closed that wants no more, and the work is tidied up all the same.
fn say(line: &str) {
    let _is_closed = writeln!(std::io::stdout(), "{line}");
}

impl Report {
    /// On the standard output.
    #[must_use]
    pub fn new(output: Output) -> Report {
        Report { output, columns: Vec::new() }
    }

    /// Prints a row; a head above it where its columns are not those of the row before.
    pub fn print(&mut self, row: &Row) {
        match self.output {
            Output::Json => say(&row.json().to_string()),
            Output::Table => self.lines(row).iter().for_each(|line| say(line)),
        }
    }

    fn lines(&mut self, row: &Row) -> Vec<String> {
        let mut lines = Vec::new();
        if self.columns != row.names() {
            self.columns = row.names();
            lines.push(line(row.figures.iter().map(|(name, _)| (*name, (*name).to_owned()))));
        }
        lines.push(line(row.figures.iter().map(|(name, value)| (*name, value.shown()))));
        lines
    }
}

fn line(cells: impl Iterator<Item = (&'static str, String)>) -> String {
    let cells = cells.map(|(name, text)| format!("{text:>width$}", width = name.len().max(COLUMN)));
    cells.collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(runs: u64) -> Row {
        Row::of("steps")
            .count("runs", runs)
            .real("ratio", 1.256, 2)
            .real("nothing", f64::NAN, 1)
            .word("kind", "a \"b\"")
    }

    #[test]
    fn a_row_is_a_line_of_json() {
        let told = r#"{"bench":"steps","runs":3,"ratio":1.26,"nothing":null,"kind":"a \"b\""}"#;
        assert_eq!(row(3).json(), told);
        assert!(serde_json::from_str::<serde_json::Value>(told).is_ok());
    }

    #[test]
    fn the_head_of_a_table_is_printed_when_the_columns_change() {
        let mut report = Report::new(Output::Table);
        assert_eq!(report.lines(&row(1)).len(), 2);
        assert_eq!(report.lines(&row(2)).len(), 1);
        assert_eq!(report.lines(&Row::of("other")).len(), 2);
    }
}
