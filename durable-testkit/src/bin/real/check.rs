//! What a ledger says, and what has to hold of it: everything acknowledged is there, no attempt begins after its result was
//! acknowledged, each call has one result and it is one that an attempt gave, signals come once and in order, every run ends. It
//! reads lines and knows nothing of the fault that came between them.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::{Begin, Line};

/// No more violations of a ledger than these are told.
const VIOLATIONS_MAX: usize = 20;

/// What the result of a call is that may run at most once and was interrupted.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// Everything that a ledger says.
#[derive(Debug, Default)]
pub(crate) struct History {
    runs: BTreeMap<String, RunHistory>,
    /// Every value that an attempt was about to return.
    given: BTreeSet<String>,
    pub(crate) counts: Counts,
    violations: Vec<String>,
}

/// How much happened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) opens: u64,
    pub(crate) attempts: u64,
    /// Attempts beyond the first of their call.
    pub(crate) repeated: u64,
    pub(crate) acknowledged: u64,
    /// At-most-once calls that were interrupted.
    pub(crate) interrupted: u64,
    /// What was refused, or ended for who waited, because of the store.
    pub(crate) refused: u64,
    /// Operations of the disk in the newest process that counted them, and writes among them.
    pub(crate) operations: u64,
    pub(crate) writes: u64,
}

/// What became of a run.
#[derive(Debug, Default)]
struct RunHistory {
    asked: bool,
    started: bool,
    ended: Option<Vec<String>>,
    steps: BTreeMap<u32, StepHistory>,
    sending: Vec<String>,
    signalled: BTreeSet<String>,
    taken: Vec<String>,
}

/// What became of a call.
#[derive(Debug, Default)]
struct StepHistory {
    newest: Option<Begin>,
    /// The result that its run has seen.
    result: Option<String>,
}

impl History {
    /// Takes in a ledger, line by line.
    pub(crate) fn of(lines: &[String]) -> History {
        let mut history = History::default();
        lines.iter().for_each(|line| history.take(line));
        history
    }

    fn wrong(&mut self, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(what);
        }
    }

    /// Takes in a line.
    pub(crate) fn take(&mut self, text: &str) {
        let Some(line) = Line::parse(text) else { return self.wrong(format!("`{text}` is no line of a ledger")) };
        self.counts.acknowledged += u64::from(line.is_acknowledgement());
        match line {
            Line::Open(_) => self.counts.opens += 1,
            Line::Starting(run) => self.run(&run).asked = true,
            Line::Started(run) => self.started(&run),
            Line::Refused(..) | Line::Store(..) => self.counts.refused += 1,
            Line::Begin(begin) => self.begin(begin),
            Line::Gave(value) => drop(self.given.insert(value)),
            Line::Sending(run, value) => self.run(&run).sending.push(value),
            Line::Signalled(run, value) => drop(self.run(&run).signalled.insert(value)),
            Line::Ended(run, values) => self.ended(&run, values),
            Line::Failed(..) | Line::Lost(..) => self.wrong(text.to_owned()),
            Line::Operations(all, writes) => (self.counts.operations, self.counts.writes) = (all, writes),
            Line::Shut => {}
        }
    }

    fn run(&mut self, run: &str) -> &mut RunHistory {
        self.runs.entry(run.to_owned()).or_default()
    }

    fn started(&mut self, name: &str) {
        let run = self.run(name);
        run.started = true;
        if !run.asked {
            self.wrong(format!("{name} was acknowledged, and nobody had asked for it"));
        }
    }

    fn begin(&mut self, begin: Begin) {
        self.counts.attempts += 1;
        let (name, step) = (begin.run.clone(), begin.step);
        begin.seen.iter().for_each(|value| self.see(value));
        let run = self.run(&name);
        let mut wrong = Vec::new();
        if run.ended.is_some() {
            wrong.push("and its end was acknowledged".to_owned());
        }
        let call = run.steps.entry(step).or_default();
        if let Some(result) = &call.result {
            wrong.push(format!("and its result {result} was there"));
        }
        let again = call.newest.replace(begin.clone());
        if let Some(before) = &again {
            wrong.extend(differs(before, &begin));
        }
        self.counts.repeated += u64::from(again.is_some());
        wrong.into_iter().for_each(|why| self.wrong(format!("{name}: step {step} begins again, {why}")));
    }

    /// A run has seen this: a signal, or a call's result.
    fn see(&mut self, value: &str) {
        let mut parts = value.split(':');
        let (Some(name), Some(what)) = (parts.next(), parts.next()) else {
            return self.wrong(format!("`{value}` is no value that anything gave"));
        };
        if what.starts_with('s') {
            return self.take_signal(name, value);
        }
        let Ok(step) = what.parse() else { return self.wrong(format!("`{value}` is of no step")) };
        let is_interrupted = parts.next() == Some(INTERRUPTED);
        if !is_interrupted && !self.given.contains(value) {
            self.wrong(format!("{name} has seen {value}, which no attempt gave"));
        }
        let call = self.run(name).steps.entry(step).or_default();
        let before = call.result.replace(value.to_owned());
        match before {
            Some(before) if before != value => {
                self.wrong(format!("{name} has seen {value}, and {before} before it"));
            }
            None => self.counts.interrupted += u64::from(is_interrupted),
            Some(_) => {}
        }
    }

    /// A run has received this signal, as its next one or as one that it had before.
    fn take_signal(&mut self, name: &str, value: &str) {
        let run = self.run(name);
        if run.taken.iter().any(|taken| taken == value) {
            return;
        }
        let place = run.sending.iter().position(|sent| sent == value);
        let before = run.taken.last().and_then(|last| run.sending.iter().position(|sent| sent == last));
        run.taken.push(value.to_owned());
        match place {
            None => self.wrong(format!("{name} has received {value}, which nobody sent")),
            Some(place) if before.is_some_and(|before| before > place) => {
                self.wrong(format!("{name} has received {value} too late"));
            }
            Some(_) => {}
        }
    }

    fn ended(&mut self, name: &str, values: Vec<String>) {
        values.iter().for_each(|value| self.see(value));
        let run = self.run(name);
        let mut wrong = Vec::new();
        match run.ended.replace(values.clone()) {
            Some(before) if before != values => {
                wrong.push(format!("{name} ended with {values:?}, and with {before:?} before"));
            }
            _ => {}
        }
        if !run.asked {
            wrong.push(format!("{name} ended, and nobody had asked for it"));
        }
        wrong.extend(signals(name, run, &values));
        wrong.into_iter().for_each(|wrong| self.wrong(wrong));
    }

    /// Whether a start of this run was acknowledged.
    pub(crate) fn is_started(&self, run: &str) -> bool {
        self.runs.get(run).is_some_and(|run| run.started)
    }

    /// The runs that were asked for and whose end was not acknowledged.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().filter(|(_, run)| run.asked && run.ended.is_none()).map(|(name, _)| name.as_str())
    }

    /// The runs whose end was acknowledged, with what they returned.
    pub(crate) fn finished(&self) -> impl Iterator<Item = (&str, &Vec<String>)> {
        self.runs.iter().filter_map(|(name, run)| Some((name.as_str(), run.ended.as_ref()?)))
    }

    /// How many runs were asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.runs.values().filter(|run| run.asked).count() as u64
    }

    /// How many signals to this run were acknowledged.
    pub(crate) fn signalled(&self, run: &str) -> usize {
        self.runs.get(run).map_or(0, |run| run.signalled.len())
    }

    /// What does not hold, if nothing more is to come.
    pub(crate) fn close(mut self) -> (Counts, Vec<String>) {
        let open: Vec<String> = self.unfinished().map(|run| format!("{run} has not ended")).collect();
        open.into_iter().for_each(|wrong| self.wrong(wrong));
        (self.counts, self.violations)
    }
}

/// What two attempts of a call may not differ in, and in what they must.
fn differs(before: &Begin, begin: &Begin) -> Vec<String> {
    let mut wrong = Vec::new();
    if begin.once {
        wrong.push("and it may begin at most once".to_owned());
    }
    if before.attempt >= begin.attempt {
        wrong.push(format!("as attempt {}, after attempt {}", begin.attempt, before.attempt));
    }
    if before.key != begin.key {
        wrong.push(format!("with the key {}, and had {}", begin.key, before.key));
    }
    if before.seen != begin.seen {
        wrong.push(format!("after {:?}, and first it was after {:?}", begin.seen, before.seen));
    }
    wrong
}

/// What is wrong with the signals that a run returns: it has each acknowledged one, once, in the order in which they were sent. Of
/// those with an even number, which carry a message id, it has one, however often they were sent.
fn signals(name: &str, run: &RunHistory, values: &[String]) -> Vec<String> {
    let number = |value: &str| value.split(':').nth(1)?.strip_prefix('s')?.parse::<u64>().ok();
    let received: Vec<&String> = values.iter().filter(|value| number(value).is_some()).collect();
    let mut wrong = Vec::new();
    let places: Vec<_> = received.iter().map(|value| run.sending.iter().position(|sent| sent == *value)).collect();
    if places.windows(2).any(|two| two[0] >= two[1]) {
        wrong.push(format!("{name} has received {received:?} of {:?}", run.sending));
    }
    let mut messages = BTreeSet::new();
    for value in &received {
        if number(value).is_some_and(|number| number % 2 == 0 && !messages.insert(number)) {
            wrong.push(format!("{name} has received the message of {value} twice"));
        }
    }
    for value in run.signalled.iter().filter(|value| !received.contains(value)) {
        // A message that was sent again is acknowledged again, and it is the first one that is received.
        if number(value).is_none_or(|number| !messages.contains(&number)) {
            wrong.push(format!("{name} has not received {value}, which was acknowledged"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
open 1
starting r0
begin r0 0 1 k0 -
started r0
gave r0:0:1:a
open 2
begin r0 0 2 k0 -
gave r0:0:2:b
once r0 1 1 k1 r0:0:2:b
open 3
begin r0 2 1 k2 r0:1:interrupted
gave r0:2:1:c
ended r0 r0:0:2:b,r0:1:interrupted,r0:2:1:c
starting r1
started r1
sending r1 r1:s0:a
sending r1 r1:s0:b
signalled r1 r1:s0:b
sending r1 r1:s1:a
open 4
sending r1 r1:s1:b
signalled r1 r1:s1:b
begin r1 0 1 k3 r1:s0:a
gave r1:0:1:d
ended r1 r1:s0:a,r1:0:1:d,r1:s1:a,r1:s1:b
";

    fn told(ledger: &str) -> Vec<String> {
        History::of(&ledger.lines().map(str::to_owned).collect::<Vec<_>>()).close().1
    }

    #[test]
    fn a_ledger_in_order_is_right() {
        assert_eq!(told(GOOD), Vec::<String>::new());
        let history = History::of(&GOOD.lines().map(str::to_owned).collect::<Vec<_>>());
        let expected =
            Counts { opens: 4, attempts: 5, repeated: 1, acknowledged: 6, interrupted: 1, ..Counts::default() };
        assert_eq!(history.counts, expected);
    }

    /// Replaces a line of the good ledger and looks whether that is told.
    #[track_caller]
    fn is_told(line: &str, instead: &str, told_as: &str) {
        assert!(GOOD.contains(&format!("{line}\n")), "{line}");
        let wrong = told(&GOOD.replacen(&format!("{line}\n"), instead, 1));
        assert!(wrong.iter().any(|wrong| wrong.contains(told_as)), "{wrong:?}");
    }

    #[test]
    fn an_attempt_behind_the_acknowledged_result_is_a_violation() {
        let once = "once r0 1 1 k1 r0:0:2:b";
        is_told(once, &format!("{once}\nbegin r0 0 3 k0 -\n"), "step 0 begins again, and its result");
        let end = "ended r0 r0:0:2:b,r0:1:interrupted,r0:2:1:c";
        is_told(end, &format!("{end}\nbegin r0 3 1 k4 -\n"), "and its end was acknowledged");
    }

    #[test]
    fn an_attempt_that_differs_from_the_one_before_is_a_violation() {
        let second = "begin r0 0 2 k0 -";
        is_told(second, "begin r0 0 1 k0 -\n", "as attempt 1, after attempt 1");
        is_told(second, "begin r0 0 2 other -\n", "with the key other");
        let once = "once r0 1 1 k1 r0:0:2:b";
        is_told(once, &format!("{once}\nonce r0 1 2 k1 r0:0:2:b\n"), "at most once");
        let third = "begin r0 2 1 k2 r0:1:interrupted";
        is_told(third, &format!("{third}\nbegin r0 2 2 k2 -\n"), "and first it was after");
    }

    #[test]
    fn two_results_of_a_call_or_one_that_nobody_gave_are_violations() {
        let end = "ended r0 r0:0:2:b,r0:1:interrupted,r0:2:1:c";
        is_told(end, "ended r0 r0:0:1:a,r0:1:interrupted,r0:2:1:c\n", "and r0:0:2:b before it");
        is_told(end, "ended r0 r0:0:2:b,r0:1:interrupted,r0:2:1:z\n", "which no attempt gave");
        is_told(end, &format!("{end}\nended r0 r0:0:2:b\n"), "ended with");
    }

    #[test]
    fn a_signal_that_is_lost_or_twice_or_late_or_nobodys_is_a_violation() {
        let end = "ended r1 r1:s0:a,r1:0:1:d,r1:s1:a,r1:s1:b";
        is_told(end, "ended r1 r1:s0:a,r1:0:1:d,r1:s1:a\n", "has not received r1:s1:b");
        is_told(end, "ended r1 r1:0:1:d,r1:s1:a,r1:s1:b\n", "has not received r1:s0:b");
        is_told(end, "ended r1 r1:s0:a,r1:s1:b,r1:s1:b\n", "has received [");
        is_told(end, "ended r1 r1:s0:a,r1:s1:b,r1:s1:a\n", "too late");
        is_told(end, "ended r1 r1:s0:a,r1:s0:b,r1:s1:b\n", "twice");
        is_told(end, "ended r1 r1:s0:a,r1:s1:b,r1:s2:z\n", "which nobody sent");
    }

    #[test]
    fn a_run_that_has_not_ended_or_was_lost_or_failed_or_not_asked_for_is_a_violation() {
        is_told("ended r1 r1:s0:a,r1:0:1:d,r1:s1:a,r1:s1:b", "", "r1 has not ended");
        is_told("open 4", "lost r1 no run has the id `r1` [E0308]\n", "lost r1");
        is_told("open 4", "failed r1 it panicked\n", "failed r1");
        is_told("open 4", "started r9\n", "nobody had asked");
        is_told("open 4", "what is this\n", "is no line");
    }
}
