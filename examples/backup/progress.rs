//! How far it is, on standard error: a bar on a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::workflow::Task;

/// Plain lines come at each of so many parts of the whole.
const LINES: u64 = 10;

/// Shows which of the entries is newest. They begin in their order, so that also says how far earlier processes came.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: Option<ProgressBar>,
    newest: Arc<AtomicU64>,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new() -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:40} {pos} of {len} {wide_msg}");
            ProgressBar::no_length().with_style(style.expect("because the template is well-formed"))
        });
        Progress { bar, newest: Arc::default() }
    }

    /// An entry is being copied.
    pub fn at(&self, task: &Task) {
        let (number, total) = (task.number, task.total);
        let before = self.newest.fetch_max(number, Ordering::Relaxed);
        if number <= before {
            return;
        }
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(number);
                bar.set_message(task.path.to_string());
            }
            None if number * LINES / total != before * LINES / total => {
                eprintln!("at {number} of {total}: {}", task.path)
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
