//! A mismatch as data, and in words: what the journal holds, what the code asks for, where, why that usually happens and
//! what to do. Both sides always stand in the same order. It is text for people; nothing decides by it.

use std::fmt;

use super::command::Place;
use super::event::{ActivityScheduled, End, Entry, Text};
use super::id::{Digest, EventNo, Seq, Timestamp};

/// The code asks for something other than the journal holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// The workflow.
    pub workflow: Text,
    /// The run's workflow id.
    pub id: Text,
    /// The command.
    pub seq: Seq,
    /// The delivered event whose turn it is.
    pub turn: EventNo,
    /// What the journal holds; none if its turn ends here.
    pub recorded: Option<Asked>,
    /// What the code asks for; none if the code's turn ends here.
    pub asked: Option<Asked>,
    /// The build that recorded it.
    pub recorded_build: Text,
    /// The build that replays it.
    pub build: Text,
    /// How the code ended the run, if that is what the journal does not hold.
    pub ended: Option<End>,
    /// Where in the source the command was built.
    pub place: Option<Place>,
    /// Where the durable call was built that was polled last.
    pub after: Option<Place>,
    /// The journal's commands near it.
    pub around: Vec<Asked>,
}

/// An entry, reduced to what a person compares.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The command's number.
    pub seq: Seq,
    /// What kind of command: `activity`, `timer`, `signal`, `child`, ..
    pub kind: &'static str,
    /// Its name, its due time.
    pub what: Text,
    /// The digests of its input's values and shape, where it has one.
    pub input: Option<(Digest, Digest)>,
    /// The options that bind every build; "" is none.
    pub options: Text,
    /// The command that an entry without a name is about.
    pub about: Option<Box<Asked>>,
}

impl Asked {
    /// An entry in words.
    #[must_use]
    pub fn new(entry: &Entry) -> Asked {
        let (kind, what) = match entry {
            Entry::ActivityScheduled(call) => ("activity", format!("`{}`", call.name).into()),
            Entry::ChildScheduled(child) => ("child", format!("`{}` as `{}`", child.workflow, child.id).into()),
            Entry::TimerStarted { due, .. } => ("timer", format!("due {}", Utc(*due)).into()),
            Entry::SignalAwaited { name, .. } => ("signal", format!("`{name}`").into()),
            Entry::SignalTaken { .. } => ("taking a signal", Text::default()),
            Entry::SignalSent { name, to, .. } => ("sending a signal", format!("`{name}` to {to}").into()),
            Entry::CompensationRegistered { name, .. } => ("compensation", format!("`{name}`").into()),
            Entry::ScopeOpened { scope, .. } => ("a scope's begin", scope.to_string().into()),
            Entry::ScopeClosed { scope } => ("a scope's end", scope.to_string().into()),
            Entry::CommandDropped { .. } => ("dropping", Text::default()),
        };
        let (input, options) = match entry {
            Entry::ActivityScheduled(call) => (Some((call.value, call.shape)), binding(call)),
            Entry::ChildScheduled(child) => {
                (Some((child.value, child.shape)), format!("{:?} at its parent's end", child.close))
            }
            _ => (None, String::new()),
        };
        Asked { seq: entry.seq().unwrap_or_default(), kind, what, input, options: options.into(), about: None }
    }
}

/// What binds every build, in words.
fn binding(call: &ActivityScheduled) -> String {
    let ActivityScheduled { binding, undo, undoes, .. } = call;
    let parts = [
        binding.at_most_once.then(|| "at most once".to_owned()),
        binding.by_token.then(|| "completed by token".to_owned()),
        binding.queue.as_ref().map(|queue| format!("in queue `{queue}`")),
        binding.deadline.map(|deadline| format!("until {}", Utc(deadline))),
        undo.undo.then(|| "with an undo".to_owned()),
        undo.unknown.then(|| "with an undo for the unknown".to_owned()),
        undo.waits.then(|| "awaited when it is dropped".to_owned()),
        undoes.map(|seq| format!("undoing seq {seq}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        if !self.what.as_str().is_empty() {
            write!(f, " {}", self.what)?;
        }
        if let Some(about) = &self.about {
            write!(f, " {about}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: &Option<Asked>, nothing: &str| match side {
            Some(asked) => format!("{asked} (seq {})", asked.seq),
            None => nothing.to_owned(),
        };
        let (no_more, asks_no_more) = match self.ended {
            None => ("nothing more in this turn", "nothing more in this turn"),
            Some(End::Completed) => ("further turns of the run", "the end of the run, with `Ok`"),
            Some(End::Failed) => ("further turns of the run", "the end of the run, with `Err`"),
            Some(_) => ("further turns of the run", "the end of the run"),
        };
        writeln!(f, "mismatch in workflow `{}`, run {}, at seq {}", self.workflow, self.id, self.seq)?;
        let recorded = side(&self.recorded, no_more);
        writeln!(
            f,
            "  the journal holds     {recorded}{} (build {})",
            self.differs(&self.recorded),
            self.recorded_build
        )?;
        let asked = side(&self.asked, asks_no_more);
        let after = self.after.map(|place| format!("after {place}, "));
        let place = self.place.map(|place| format!("{place}, ")).or(after).unwrap_or_default();
        writeln!(f, "  the code asks for     {asked}{} ({place}build {})", self.differs(&self.asked), self.build)?;
        if !self.around.is_empty() {
            let around: Vec<String> = self.around.iter().map(|asked| format!("{} {asked}", asked.seq)).collect();
            writeln!(f, "  around it             {}", around.join("   "))?;
        }
        writeln!(f, "  likely cause          {}", self.cause())?;
        writeln!(f, "  way out               {}", self.way_out())?;
        write!(f, "  the run is parked and nothing was lost; it goes on with a fitting binary [E0201]")
    }
}

impl Mismatch {
    /// What a side says of its options and its input, where kind and name agree.
    fn differs(&self, side: &Option<Asked>) -> String {
        let (Some(was), Some(is), Some(side)) = (&self.recorded, &self.asked, side) else { return String::new() };
        if (was.seq, was.kind, &was.what) != (is.seq, is.kind, &is.what) {
            return String::new();
        }
        if was.options != is.options {
            let options = side.options.as_str();
            return format!(", {}", if options.is_empty() { "with no option that binds" } else { options });
        }
        match side.input {
            Some((value, _)) if was.input.map(|(_, shape)| shape) == is.input.map(|(_, shape)| shape) => {
                format!(" with input {value}")
            }
            Some((_, shape)) => format!(" with an input of shape {shape}"),
            None => String::new(),
        }
    }

    fn same_build(&self) -> bool {
        self.recorded_build == self.build
    }

    fn way_out(&self) -> &'static str {
        if self.same_build() {
            return "put what it reads into an activity or a step, or take `durable::now`, `durable::random`, a `BTreeMap`; a run \
                    that fits in no build is ended by `Run::terminate`";
        }
        "finish the open runs on the build that recorded them, or bring the old order back"
    }

    fn cause(&self) -> &'static str {
        if self.same_build() {
            return "the code reads something that no journal holds: a clock, a random number, the order of a hash map, \
                    an unbiased `select!` (use the one of `durable::prelude`, or `biased;`)";
        }
        match (&self.recorded, &self.asked) {
            (Some(_), None) => "a call was removed while this run was in flight",
            (None, Some(_)) => "a call was added while this run was in flight",
            (None, None) => "calls were removed while this run was in flight",
            (Some(was), Some(is)) if was.seq != is.seq && (was.kind, &was.what) == (is.kind, &is.what) => {
                "a call before it was added or removed while this run was in flight, also one that is built and not awaited"
            }
            (Some(_), Some(_)) => "calls were added, removed, swapped or changed while this run was in flight",
        }
    }
}

/// A point in time in UTC, to the second.
pub(crate) struct Utc(pub(crate) Timestamp);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.0.div_euclid(1_000_000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
    }
}

/// Days since 1970-01-01 as a date of the proleptic Gregorian calendar, counted in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
