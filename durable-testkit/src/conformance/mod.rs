//! What any `Store` must do, as checks with names. A backend's author implements [`Backend`], which opens the store and lets it die,
//! and runs [`conformance!`](crate::conformance!), which makes a test of each check. The checks know nothing of a store but its trait;
//! none of them waits for a clock.
//!
//! ```
//! use durable_testkit::conformance::{self, Backend, Opened};
//! # use std::sync::Arc;
//! # use durable::store::{Listener, plain::PlainStore};
//!
//! #[derive(Default)]
//! struct Memory;
//!
//! impl Backend for Memory {
//!     fn open(&mut self, listener: Listener) -> Result<Opened, String> {
//!         Ok(Opened::new(Arc::new(PlainStore::new(listener))))
//!     }
//! }
//!
//! conformance::check_all(Memory::default);
//! ```

mod append;
mod closed;
mod ending;
mod failing;
mod groups;
mod journals;
mod model;
mod reopened;
mod stage;

use std::fmt;
use std::sync::Arc;

use durable::kernel::tables::Tables;
use durable::store::{Listener, Store};

pub use groups::{end, end_as, group, marked, of_the_opener, signal, start, start_as};
pub use model::Model;

use stage::Stage;

/// A store under test, as its machine sees it. Each check begins with a new one, which holds nothing.
pub trait Backend {
    /// Opens the store: an empty one the first time, what is left of it then. `listener` is called whenever the store moved.
    ///
    /// # Errors
    /// Why it does not open: a violation, always.
    fn open(&mut self, listener: Listener) -> Result<Opened, String>;

    /// Lets the store work until it waits. A store on threads of its own gives them time here. Says whether there may be more to come:
    /// of one that said no, nothing more is expected.
    fn drive(&mut self) -> bool {
        false
    }

    /// Whether the next open finds what this one leaves. Of a store that forgets everything when it is let go, what is about
    /// reopening is left out.
    fn keeps(&self) -> bool {
        false
    }

    /// Lets the process die that has the store open; what is not durable may be gone.
    fn crash(&mut self) {}

    /// From now on the store cannot write. Says false if that cannot be had: then what is about failures is left out.
    fn break_disk(&mut self) -> bool {
        false
    }

    /// The store can write again.
    fn mend_disk(&mut self) {}

    /// From now on there is no more space. Says false if that cannot be had: then what is about space is left out.
    fn fill_disk(&mut self) -> bool {
        false
    }

    /// There is space again, also for a store that looks for it only now and then.
    fn free_disk(&mut self) {}

    /// The largest group, in bytes, that the store takes; none if there is no limit: then what is about limits is left out.
    fn group_bytes_max(&self) -> Option<usize> {
        None
    }
}

/// A store that was opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What every open run waits for, as the store found it.
    pub tables: Tables,
    /// Whether the store was closed, or is new: nothing can have run since.
    pub is_clean: bool,
}

impl Opened {
    /// A new store, which holds nothing.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Opened {
        Opened { store, tables: Tables::default(), is_clean: true }
    }
}

/// Something that any store must do.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name, a sentence.
    pub name: &'static str,
    run: fn(&mut Stage<'_>) -> Result<(), Wrong>,
}

/// What came out of a check that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It says nothing of this backend, for this reason.
    LeftOut(&'static str),
}

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub check: &'static str,
    /// Where in it.
    pub at: String,
    /// What was seen.
    pub seen: String,
    /// What was expected.
    pub expected: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { check, at, seen, expected } = self;
        write!(f, "`{check}` does not hold: {at}:\n    seen:     {seen}\n    expected: {expected}")
    }
}

impl std::error::Error for Failure {}

/// Why a check ends early.
#[derive(Debug)]
enum Wrong {
    /// It is violated.
    Violated { at: String, seen: String, expected: String },
    /// It says nothing of this backend.
    LeftOut(&'static str),
}

/// Calls a macro with the names of all checks: the list stands here alone.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_check {
    ([$($callback:tt)*] $($given:tt)*) => {
        $($callback)* ! {
            ($($given)*)
            append: a_new_store_is_empty
            append: positions_count_groups
            append: what_is_appended_becomes_durable_in_order
            append: the_listener_is_called_when_more_is_durable
            append: queued_bytes_are_those_that_are_not_durable
            append: a_group_that_leaves_a_gap_is_refused_as_a_whole
            append: a_group_over_the_limit_is_refused_before_anything_is_taken
            append: an_idle_call_changes_nothing
            append: what_the_opener_tells_of_itself_is_in_no_journal
            journals: a_journal_is_as_it_was_appended
            journals: a_load_has_everything_that_was_appended_before_it
            journals: loads_side_by_side_give_the_same
            journals: a_run_that_is_not_there_has_no_journal
            closed: a_run_that_may_be_closed_is_never_ruled_out
            closed: the_newest_closed_run_of_an_id_is_found
            closed: a_search_has_everything_that_was_appended_before_it
            closed: a_search_tells_of_nothing_that_is_not_durable
            closed: what_is_open_or_elsewhere_or_unknown_is_not_found
            reopened: what_was_closed_comes_back
            reopened: tables_are_the_fold_of_all_groups
            reopened: a_checkpoint_takes_no_position_and_changes_nothing
            reopened: what_is_durable_survives_a_crash
            reopened: a_crash_leaves_whole_groups_in_order
            reopened: a_crash_is_no_close
            reopened: closed_runs_are_found_by_the_next_open
            ending: a_close_writes_what_is_queued
            ending: after_a_close_nothing_is_taken
            ending: after_a_stop_nothing_is_taken
            ending: a_stop_is_a_crash_that_frees_the_store
            failing: a_failure_is_final_and_told
            failing: a_failure_takes_nothing_that_was_durable
            failing: who_waits_is_told_of_a_failure
            failing: a_full_store_takes_no_new_work_until_there_is_space
        }
    };
}

macro_rules! table {
    (() $($module:ident: $name:ident)*) => {
        const CHECKS: &[Check] = &[$(Check { name: stringify!($name), run: $module::$name }),*];
    };
}

__each_check!([table]);

/// All checks, in the order in which a new backend is best brought to hold them.
#[must_use]
pub fn checks() -> &'static [Check] {
    CHECKS
}

/// Makes a `#[test]` of each check. Given is what makes a new backend: `conformance!(Memory::default);`.
#[macro_export]
macro_rules! conformance {
    ($new:expr) => {
        $crate::__each_check!([$crate::__check_tests] $new);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __check_tests {
    (($new:expr) $($module:ident: $name:ident)*) => {
        $(#[test]
        fn $name() {
            $crate::conformance::check(stringify!($name), $new);
        })*
    };
}

/// Runs the check of this name on a new backend.
///
/// # Panics
/// When it fails, with what was seen and what was expected; when there is no such check.
#[track_caller]
pub fn check<B: Backend>(name: &str, new: impl FnOnce() -> B) -> Outcome {
    match try_check(name, new) {
        Ok(outcome) => outcome,
        Err(failure) => panic!("{failure}"),
    }
}

/// As [`check`], without a panic when it fails.
///
/// # Errors
/// The failure.
///
/// # Panics
/// When there is no such check.
#[track_caller]
pub fn try_check<B: Backend>(name: &str, new: impl FnOnce() -> B) -> Result<Outcome, Failure> {
    let found = checks().iter().find(|check| check.name == name);
    let check = found.unwrap_or_else(|| panic!("there is no check `{name}`"));
    let mut backend = new();
    let ended = Stage::open(&mut backend).and_then(|mut stage| (check.run)(&mut stage));
    match ended {
        Ok(()) => Ok(Outcome::Holds),
        Err(Wrong::LeftOut(why)) => Ok(Outcome::LeftOut(why)),
        Err(Wrong::Violated { at, seen, expected }) => Err(Failure { check: check.name, at, seen, expected }),
    }
}

/// Runs all checks, each on a new backend; gives what came out of each.
///
/// # Panics
/// When some fail, with all of them.
#[track_caller]
pub fn check_all<B: Backend>(new: impl Fn() -> B) -> Vec<(&'static str, Outcome)> {
    let results: Vec<_> = checks().iter().map(|check| (check.name, try_check(check.name, &new))).collect();
    let failures: Vec<_> = results.iter().filter_map(|(_, result)| result.as_ref().err()).collect();
    let texts: Vec<_> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} checks do not hold:\n{}", failures.len(), texts.join("\n"));
    results.into_iter().filter_map(|(name, result)| Some((name, result.ok()?))).collect()
}
