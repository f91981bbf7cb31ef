//! Whether what the code asks for is what the journal holds. The whole rule stands in one function, so that it can be read
//! against `docs/journal-format.md`; it knows no run and no turn.

use super::command::Inputs;
use super::event::{ActivityScheduled, ChildScheduled, Entry, Text};
use super::id::{Digest, Seq};

/// The verdict on one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fit {
    /// They agree.
    Same,
    /// They do not agree in all, and what was recorded stands: the text is for operators.
    Stands(Text),
    /// A mismatch.
    Differs,
}

/// Compares an entry that the code asks for with the recorded one at its place. `swapped` tells whether another recorded
/// call is exactly the one asked for.
pub(super) fn fit(
    recorded: &Entry,
    asked: &Entry,
    inputs: Inputs,
    same_build: bool,
    swapped: impl Fn(&ActivityScheduled) -> bool,
) -> Fit {
    match (recorded, asked) {
        (Entry::ActivityScheduled(was), Entry::ActivityScheduled(is)) => {
            if !binds(was, is) {
                return Fit::Differs;
            }
            let input =
                Input { seq: was.seq, name: &was.name, value: (was.value, is.value), shape: (was.shape, is.shape) };
            input.fit(inputs, same_build, || swapped(is))
        }
        (Entry::ChildScheduled(was), Entry::ChildScheduled(is)) => {
            if !same_child(was, is) {
                return Fit::Differs;
            }
            let input =
                Input { seq: was.seq, name: &was.workflow, value: (was.value, is.value), shape: (was.shape, is.shape) };
            input.fit(inputs, same_build, || false)
        }
        (Entry::TimerStarted { seq, due }, Entry::TimerStarted { seq: asked_seq, due: asked_due }) => {
            match (seq == asked_seq, due == asked_due) {
                (false, _) => Fit::Differs,
                (true, true) => Fit::Same,
                (true, false) if same_build => Fit::Differs,
                (true, false) => Fit::Stands(
                    format!("the timer of seq {seq} keeps the due time that it was armed with [E0211]").into(),
                ),
            }
        }
        _ if recorded == asked => Fit::Same,
        _ => Fit::Differs,
    }
}

/// Whether a call that is asked for is the recorded one in everything, as it is where nothing has changed.
pub(super) fn is_same_call(was: &ActivityScheduled, is: &ActivityScheduled) -> bool {
    binds(was, is) && was.value == is.value && was.shape == is.shape
}

/// What must agree in every build: number, name, the options that bind, the compensations.
fn binds(was: &ActivityScheduled, is: &ActivityScheduled) -> bool {
    let same_name = was.seq == is.seq && was.name == is.name;
    same_name && was.binding == is.binding && was.undo == is.undo && was.undoes == is.undoes
}

fn same_child(was: &ChildScheduled, is: &ChildScheduled) -> bool {
    was.seq == is.seq && was.workflow == is.workflow && was.id == is.id && was.close == is.close
}

/// Two inputs, as digests: (recorded, asked).
struct Input<'a> {
    seq: Seq,
    name: &'a Text,
    value: (Digest, Digest),
    shape: (Digest, Digest),
}

impl Input<'_> {
    fn fit(&self, inputs: Inputs, same_build: bool, swapped: impl Fn() -> bool) -> Fit {
        let same_shape = self.shape.0 == self.shape.1;
        if same_shape && self.value.0 == self.value.1 {
            return Fit::Same;
        }
        match inputs {
            Inputs::Loose => Fit::Same,
            Inputs::Strict => Fit::Differs,
            Inputs::Checked if same_shape || same_build || swapped() => Fit::Differs,
            Inputs::Checked => Fit::Stands(
                format!(
                    "the input of `{}` (seq {}) has another shape in this build; what was recorded stands [E0211]",
                    self.name, self.seq
                )
                .into(),
            ),
        }
    }
}
