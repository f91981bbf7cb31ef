//! Makes a replay test of a recorded run: its journal as a file, and a test of Rust that replays it.

use std::path::{Path, PathBuf};

use durable::journal::RunJournal;

use crate::args::Args;
use crate::files::Files;

/// Where journals are kept, seen from the package, unless it is said.
const FOLDER: &str = "tests/journals";

/// How many characters of an id a file's name takes.
const STEM_CHARS_MAX: usize = 80;

/// Writes both; says what was written, and what is left to do.
pub(crate) fn write(journal: &RunJournal, args: &Args) -> Result<String, String> {
    let folder = args.to.clone().unwrap_or_else(|| PathBuf::from(FOLDER));
    let names = Names::of(journal);
    let file = folder.join(format!("{}.jsonl", names.stem));
    let tests = folder.parent().map(Path::to_path_buf).unwrap_or_default();
    let test = tests.join(format!("replay_{}.rs", names.word));
    let package = Package::around(&tests);
    let source = source(journal, &names, &package.named(&file), &package.library());
    Files::new(args.existing).with(file.clone(), journal.to_string()).with(test.clone(), source).write()?;
    Ok(format!(
        "wrote {}: {} events of run `{}`; it holds the run's input and results in clear\n\
         wrote {}: it replays them against `{}`\n\
         to do: let its `use` line name that workflow; `cargo test --test replay_{}` runs it, with `durable-testkit` among the \
         dev-dependencies\n",
        file.display(),
        journal.events().len(),
        journal.started().id,
        test.display(),
        names.workflow,
        names.word,
    ))
}

/// What the files and things in them are called.
#[derive(Debug)]
struct Names {
    /// The journal's file, without its ending.
    stem: String,
    /// A word of Rust that names the run.
    word: String,
    /// The workflow's function, as far as its recorded name tells.
    workflow: String,
}

impl Names {
    fn of(journal: &RunJournal) -> Names {
        let started = journal.started();
        let id = started.id.as_str();
        let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let mut stem: String = id.chars().map(|c| if kept(c) { c } else { '-' }).take(STEM_CHARS_MAX).collect();
        stem = stem.trim_matches('.').to_owned();
        if stem != id {
            // Two ids may look alike now; the ends of two identities do not.
            let run = started.run.to_string();
            stem = format!("{stem}-{}", run.rsplit('-').next().unwrap_or_default());
        }
        Names { word: word(&stem), stem, workflow: word(started.workflow.as_str()) }
    }
}

/// The text as a part of an identifier.
fn word(text: &str) -> String {
    let word: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if word.starts_with(|c: char| c.is_ascii_digit()) { format!("run_{word}") } else { word }
}

fn source(journal: &RunJournal, names: &Names, file: &str, library: &str) -> String {
    let Names { word, workflow, .. } = names;
    let (id, recorded) = (journal.started().id.as_str().escape_debug(), journal.started().workflow.as_str());
    format!(
        "//! The run `{id}` of `{}`, as it was recorded: the code of today has to ask for the same again. Nothing is executed.\n\
         \n\
         use {library}::{workflow};\n\
         \n\
         #[test]\n\
         fn {word}_replays() {{\n    \
             durable_testkit::replay(({workflow},)).file({file:?}).assert();\n\
         }}\n",
        recorded.escape_debug(),
    )
}

/// The package that a test is written into.
#[derive(Debug)]
struct Package {
    /// Its directory, if one was found.
    root: Option<PathBuf>,
}

impl Package {
    fn around(folder: &Path) -> Package {
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        Package { root: absolute.ancestors().find(|dir| dir.join("Cargo.toml").is_file()).map(Path::to_path_buf) }
    }

    /// The path of a file as a test of the package has it.
    fn named(&self, file: &Path) -> String {
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let inside = self.root.as_ref().and_then(|root| absolute.strip_prefix(root).ok());
        inside.unwrap_or(file).to_string_lossy().replace('\\', "/")
    }

    /// The name of its library.
    fn library(&self) -> String {
        let manifest = self.root.as_ref().and_then(|root| std::fs::read_to_string(root.join("Cargo.toml")).ok());
        let name = manifest.as_deref().and_then(package_name).map(|name| name.replace('-', "_"));
        name.unwrap_or_else(|| "your_crate".to_owned())
    }
}

/// The first `name` of the `package` table.
fn package_name(manifest: &str) -> Option<String> {
    let table = manifest.lines().skip_while(|line| line.trim() != "[package]").skip(1);
    let mut lines = table.take_while(|line| !line.trim_start().starts_with('['));
    lines.find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "name").then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_an_identifier() {
        assert_eq!(word("Order-42.eu"), "order_42_eu");
        assert_eq!(word("42"), "run_42");
    }

    #[test]
    fn a_package_s_name_is_found_in_its_manifest() {
        let manifest =
            "[workspace]\nname = \"no\"\n[package]\nedition = \"2024\"\nname = \"my-shop\"\n[dependencies]\n";
        assert_eq!(package_name(manifest).as_deref(), Some("my-shop"));
        assert_eq!(package_name("[workspace]\n"), None);
    }
}
