//! The numbers of the kinds of events. A number is given once and never again; there are gaps between them, so that what
//! belongs together can stay together. Those that are reserved have a number and a name from the first day on, so that a
//! build that does not know them yet refuses them by name.

/// A kind's number.
pub type Kind = u16;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        $($(#[$doc])* pub const $name: Kind = $number;)*

        /// Every kind that has a number, with its name, in order.
        pub const ALL: &[(Kind, &str)] = &[$(($name, $text)),*];
    };
}

kinds! {
    /// `RunStarted`
    RUN_STARTED = 0x0010 "RunStarted",
    /// `Turn`
    TURN = 0x0018 "Turn",
    /// `AttemptStarted`
    ATTEMPT_STARTED = 0x0020 "AttemptStarted",
    /// `AttemptFailed`
    ATTEMPT_FAILED = 0x0022 "AttemptFailed",
    /// `AttemptParked`
    ATTEMPT_PARKED = 0x0024 "AttemptParked",
    /// `ActivityCompleted`
    ACTIVITY_COMPLETED = 0x0030 "ActivityCompleted",
    /// `ActivityFailed`
    ACTIVITY_FAILED = 0x0032 "ActivityFailed",
    /// Reserved: a call was completed from outside, by its token.
    COMPLETED_BY_TOKEN = 0x0034 "CompletedByToken",
    /// `TimerFired`
    TIMER_FIRED = 0x0040 "TimerFired",
    /// `SignalReceived`
    SIGNAL_RECEIVED = 0x0048 "SignalReceived",
    /// `ChildEnded`
    CHILD_ENDED = 0x0050 "ChildEnded",
    /// `CancelRequested`
    CANCEL_REQUESTED = 0x0058 "CancelRequested",
    /// `RunTimedOut`
    RUN_TIMED_OUT = 0x005a "RunTimedOut",
    /// `CompensationStarted`
    COMPENSATION_STARTED = 0x0060 "CompensationStarted",
    /// `RunEnded`
    RUN_ENDED = 0x0068 "RunEnded",
    /// Reserved: the run goes on as another one.
    RUN_CONTINUED = 0x006a "RunContinued",
    /// `BuildChanged`
    BUILD_CHANGED = 0x0070 "BuildChanged",
    /// Reserved: a run took a side of a patch.
    PATCH_TAKEN = 0x0072 "PatchTaken",
    /// `RunBlocked`
    RUN_BLOCKED = 0x0078 "RunBlocked",
    /// `RunUnblocked`
    RUN_UNBLOCKED = 0x007a "RunUnblocked",
    /// Reserved: an operator paused the run.
    RUN_PAUSED = 0x0080 "RunPaused",
    /// Reserved: an operator let the run go on.
    RUN_RESUMED = 0x0082 "RunResumed",
    /// Reserved: an operator set the run back.
    RUN_RESET = 0x0084 "RunReset",
    /// Reserved: an update was accepted.
    UPDATE_ACCEPTED = 0x0090 "UpdateAccepted",
    /// Reserved: an update was replied to.
    UPDATE_REPLIED = 0x0092 "UpdateReplied",
    /// Reserved: a value for queries was published.
    VALUE_PUBLISHED = 0x0098 "ValuePublished",
    /// Reserved: search attributes changed.
    ATTRIBUTES_CHANGED = 0x00a0 "AttributesChanged",
    /// Reserved: a queue admitted a command.
    QUEUE_ADMITTED = 0x00a8 "QueueAdmitted",
    /// Reserved: a transaction changed state.
    STATE_CHANGED = 0x00b0 "StateChanged",
    /// Reserved: a message came in through the inbox.
    INBOX_RECEIVED = 0x00b8 "InboxReceived",
    /// Reserved: the run was put aside because it ends its process.
    RUN_QUARANTINED = 0x00c0 "RunQuarantined",
    /// Reserved: the run is let out again.
    RUN_RELEASED = 0x00c2 "RunReleased",
    /// `Opened`
    OPENED = 0x0100 "Opened",
    /// `Closed`
    CLOSED = 0x0102 "Closed",
    /// `Checkpoint`
    CHECKPOINT = 0x0110 "Checkpoint",
    /// Reserved: a schedule fired.
    SCHEDULE_FIRED = 0x0120 "ScheduleFired",
    /// Reserved: after an unclean stop those that may have caused it were counted.
    SUSPECTS_COUNTED = 0x0128 "SuspectsCounted",
}

/// The name of a kind that has a number, whether this build can read it or not.
#[must_use]
pub fn name(kind: Kind) -> Option<&'static str> {
    ALL.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

/// Whether this build can read the kind: it has a number and is not merely reserved.
#[must_use]
pub fn is_known(kind: Kind) -> bool {
    matches!(
        kind,
        RUN_STARTED
            | TURN
            | ATTEMPT_STARTED
            | ATTEMPT_FAILED
            | ATTEMPT_PARKED
            | ACTIVITY_COMPLETED
            | ACTIVITY_FAILED
            | TIMER_FIRED
            | SIGNAL_RECEIVED
            | CHILD_ENDED
            | CANCEL_REQUESTED
            | RUN_TIMED_OUT
            | COMPENSATION_STARTED
            | RUN_ENDED
            | BUILD_CHANGED
            | RUN_BLOCKED
            | RUN_UNBLOCKED
            | OPENED
            | CLOSED
            | CHECKPOINT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_given_once_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let mut names: Vec<_> = ALL.iter().map(|(_, name)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
