//! The planted bugs by number: what each is called, where it is, which rule it takes out, and how that is seen from outside. Plain
//! data; the numbers are those of the `planted!(..)` in the sources, and a test holds the two together.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bug {
    /// Its number, from 1.
    pub number: u16,
    /// Its name.
    pub name: &'static str,
    /// The sources that hold its places, below `src`; one that holds two is named twice.
    pub files: &'static [&'static str],
    /// The rule or the promise that it takes out.
    pub rule: &'static str,
    /// What it breaks, and how one sees that from outside.
    pub breaks: &'static str,
}

const fn bug(
    number: u16,
    name: &'static str,
    files: &'static [&'static str],
    rule: &'static str,
    breaks: &'static str,
) -> Bug {
    Bug { number, name, files, rule, breaks }
}

/// All of them; the one with number n stands at n - 1.
pub const ALL: &[Bug] = &[
    bug(
        1,
        "acknowledge before the sync",
        &["store/log/writer.rs"],
        "log, 9: acknowledge",
        "a frame is said to be durable when it is written; after a power cut before its sync, what was acknowledged is gone",
    ),
    bug(
        2,
        "sync of the wrong file",
        &["store/log/writer.rs"],
        "log, 9: acknowledge",
        "the directory is synced and not the segment; any power cut takes acknowledged frames away",
    ),
    bug(
        3,
        "no directory sync at a roll",
        &["store/log/writer.rs"],
        "log, 11: roll",
        "a new segment's name is not durable; a power cut takes the segment away with all that was acknowledged in it",
    ),
    bug(
        4,
        "no directory sync at open",
        &["store/log/open.rs"],
        "log, 10: open",
        "the segment of an open has no durable name; a power cut before the first roll takes away what was acknowledged in it",
    ),
    bug(
        5,
        "no sync at open",
        &["store/log/open.rs"],
        "log, 6 and 10: copy, open",
        "the copied frame is not durable when the open returns: an ended run that was found in the page cache is told, and after \
         a power cut is open again",
    ),
    bug(
        6,
        "the last frame is not copied",
        &["store/log/open.rs"],
        "log, 6: copy",
        "a last frame that lives in the page cache only is not made durable by an open; after a power cut the new segment does \
         not connect, and the store is refused",
    ),
    bug(
        7,
        "journals lead to the original of the copied frame",
        &["store/log/open.rs"],
        "log, 6: copy",
        "the next events of a run point back to a frame that may never have reached the disk; after a power cut the run's \
         journal cannot be loaded",
    ),
    bug(
        8,
        "the first frame of a number counts",
        &["store/log/chain.rs"],
        "log, 1: order",
        "what a stopped writer left supersedes the owner's frame; an open calls a sound store rotten or misses what the owner \
         acknowledged",
    ),
    bug(
        9,
        "a gap between segments is not seen",
        &["store/log/chain.rs"],
        "log, 2: connect",
        "when the last frame of a segment that was rolled over has rotted, the store opens without it: what was acknowledged is \
         missing without a word",
    ),
    bug(
        10,
        "a torn tail is rot",
        &["store/log/chain.rs"],
        "log, 3: tail",
        "a store whose process died inside a write is refused as rotten",
    ),
    bug(
        11,
        "the log ends at the first bad checksum",
        &["store/log/chain.rs"],
        "log, 4: rot",
        "frames behind a rotten one are dropped without a word: what was acknowledged is gone, and later frames take its numbers",
    ),
    bug(
        12,
        "a checksum without the header",
        &["codec/frame.rs"],
        "journal format: a frame's checksum covers its header",
        "a flipped bit in a frame's number, base, time or chain is not noticed: the store opens with other events or is called \
         rotten in another place, and never names the frame",
    ),
    bug(
        13,
        "the chain of the placed checksum",
        &["codec/frame.rs"],
        "log, 5: place",
        "a copied frame has another chain than the original; the second open calls a sound store rotten",
    ),
    bug(
        14,
        "a base that is too high",
        &["store/log/writer.rs"],
        "log, 7: base",
        "each frame says that none before it is needed; the next open has lost what stands before the last frame",
    ),
    bug(
        15,
        "the lock is not looked at after the sync",
        &["store/log/writer.rs"],
        "log, 9: acknowledge",
        "a writer that was stopped, and whose store has a new owner, acknowledges what nobody will ever read",
    ),
    bug(
        16,
        "the lock is always free",
        &["store/log/files.rs"],
        "log, 10: open",
        "a second process opens a store that is open; both acknowledge, and what one of them did is superseded",
    ),
    bug(
        17,
        "a name replaces",
        &["store/log/files.rs"],
        "log, 11 and 12: roll, recycle",
        "a stopped writer that wakes and rolls puts its segment in the place of the owner's; what the owner acknowledged is gone",
    ),
    bug(
        18,
        "a failed sync is tried again",
        &["store/log/files.rs"],
        "log, 15: final",
        "the second sync finds clean pages and says yes; after a power cut what was acknowledged is gone",
    ),
    bug(
        19,
        "the writer goes on after a failure",
        &["store/log/writer.rs"],
        "log, 15: final",
        "what comes behind a failed frame is acknowledged and does not connect to it; the next open refuses the store or misses \
         what was acknowledged",
    ),
    bug(
        20,
        "a short write is not continued",
        &["store/log/files.rs"],
        "log, 15: final",
        "half a frame is synced and acknowledged; the next open does not find it",
    ),
    bug(
        21,
        "a full disk is final",
        &["store/log/space.rs"],
        "log, 15: final",
        "a roll that finds no space fails the store instead of waiting; runs do not go on when there is space again",
    ),
    bug(
        22,
        "the index is trusted",
        &["store/log/mod.rs"],
        "the index is a cache",
        "a closed run that the index does not hold is not found: a start under its id begins a second run, its result is gone",
    ),
    bug(
        23,
        "an index ahead of the log",
        &["store/log/shared.rs"],
        "nobody is told of a closed run before its end is durable",
        "a run's result is told when its end is written; after a power cut the run is open",
    ),
    bug(
        24,
        "a filter of closed runs that forgets",
        &["store/log/fold.rs"],
        "the filter never denies a closed run",
        "after an open, runs that closed behind the last checkpoint are unknown: a start under such an id begins a second run",
    ),
    bug(
        25,
        "a checkpoint that misses what came with it",
        &["store/log/recover.rs"],
        "a checkpoint says what the log says",
        "groups in the frame of a checkpoint's last part are not read at open: what was acknowledged is gone, or a journal has a gap",
    ),
    bug(
        26,
        "a checkpoint that forgets the names",
        &["store/log/checkpoint.rs"],
        "journal: names are written at their first use in the run",
        "after an open from a checkpoint a run gives its names numbers that its journal has given already; its next replay \
         reads other names, and mismatches",
    ),
    bug(
        27,
        "a waiter is woken by the sync before its own",
        &["store/log/queue.rs"],
        "log, 9: acknowledge",
        "what was appended while a sync ran is acknowledged by it; a power cut before the next sync takes it away",
    ),
    bug(
        28,
        "a wake-up is lost",
        &["store/log/spare.rs"],
        "liveness: every run goes on",
        "a roll that comes before the next segment is made waits for ever; nothing is acknowledged any more",
    ),
    bug(
        29,
        "a group is split over two frames",
        &["store/log/queue.rs"],
        "journal: one group never spans two frames",
        "a crash between the two leaves a child that its parent asked for and that never began, or an end that its parent never hears",
    ),
    bug(
        30,
        "every stop is taken for a clean one",
        &["store/log/open.rs"],
        "journal: `Closed` is trusted only as the last event of the log",
        "a first attempt that a crash interrupted begins again under the same number, not counted, and its effect is not called \
         unknown",
    ),
    bug(
        31,
        "an attempt begins before what allows it is durable",
        &["kernel/engine/mod.rs"],
        "journal: attempts begin when their record is durable",
        "after a power cut the journal does not know of an attempt that began: an at-most-once call is made twice, an attempt \
         begins twice under one number",
    ),
    bug(
        32,
        "a signal is acknowledged before its sync",
        &["kernel/engine/runs.rs"],
        "an acknowledged signal is on disk",
        "the sender hears yes before the signal is durable; a power cut takes it away, and the run waits for it for ever",
    ),
    bug(
        33,
        "the begin of an attempt is not recorded",
        &["kernel/engine/attempts.rs"],
        "journal: `AttemptStarted` is durable before the attempt",
        "after a crash a second attempt, or the one of an at-most-once call, begins again as if it never had",
    ),
    bug(
        34,
        "an interrupted attempt is not counted",
        &["kernel/engine/attempts.rs"],
        "journal: an attempt that may have begun is interrupted",
        "a recorded attempt begins again under its number after each crash: there are more attempts than the policy allows",
    ),
    bug(
        35,
        "`maybe` is lost",
        &["kernel/engine/attempts.rs"],
        "journal: `maybe` is carried from attempt to attempt",
        "a call that timed out or was interrupted and then failed counts as never done: its effect stands and is neither undone \
         nor named; an at-most-once call is tried again after a timeout",
    ),
    bug(
        36,
        "a dropped call is not settled at open",
        &["kernel/engine/attempts.rs"],
        "journal: a dropped call with an undo is always settled by a delivered event",
        "after a crash a run that dropped such a call waits for ever",
    ),
    bug(
        37,
        "a parked attempt burns one",
        &["kernel/engine/attempts.rs"],
        "journal: a graceful shutdown burns no attempt",
        "after a shutdown the next number begins: a call of one attempt makes a second, one of three is left with two",
    ),
    bug(
        38,
        "a retry does not wait after an open",
        &["kernel/engine/attempts.rs"],
        "journal: attempt n + 1 begins when its due time has passed",
        "after an open the next attempt of a failed call begins at once, before its recorded due time",
    ),
    bug(
        39,
        "an at-most-once attempt begins again after a crash",
        &["kernel/engine/attempts.rs"],
        "at-most-once",
        "an at-most-once call that was in flight when the process died is made twice",
    ),
    bug(
        40,
        "the result of a late attempt is recorded",
        &["kernel/engine/attempts.rs", "runtime/attempts.rs"],
        "a timed-out attempt is over",
        "an attempt that was recorded as timed out runs on beside the next one, and its result becomes the call's",
    ),
    bug(
        41,
        "the loser of a select goes on",
        &["kernel/engine/runs.rs", "kernel/engine/runs.rs"],
        "a dropped call has no outcome",
        "attempts of a call that the code has dropped go on and begin anew, and its result stands in the journal",
    ),
    bug(
        42,
        "a dropped call is tried again",
        &["kernel/engine/attempts.rs"],
        "journal: after a drop no new attempt of a call with an undo begins",
        "a call with an undo that was dropped in flight and fails gets further attempts",
    ),
    bug(
        43,
        "one attempt too many",
        &["kernel/retry.rs"],
        "retries are at most what the policy says",
        "a call of n attempts makes n + 1",
    ),
    bug(
        44,
        "undoing begins with the oldest",
        &["kernel/machine.rs"],
        "journal: newest goes first",
        "compensations run in the order of the calls and not in the opposite one",
    ),
    bug(
        45,
        "an unknown effect is not undone",
        &["kernel/undo.rs"],
        "journal: `undo_unknown` decides where the outcome is unknown",
        "a call with an `undo_unknown` whose outcome is unknown is only named, and its compensation never runs",
    ),
    bug(
        46,
        "undoing ends at the first failure",
        &["kernel/machine.rs"],
        "journal: an undo that fails finally is named, and the older ones still run",
        "behind a compensation that failed for good older effects stand, neither undone nor named",
    ),
    bug(
        47,
        "a message is delivered twice",
        &["kernel/machine.rs"],
        "journal: a known message id is dropped at delivery",
        "a signal that was sent twice under one message id is received twice",
    ),
    bug(
        48,
        "signals come newest first",
        &["kernel/machine.rs"],
        "signals come in order",
        "of two buffered signals of one name the later one is received first",
    ),
    bug(
        49,
        "the begin of the undoing is not recorded",
        &["kernel/engine/runs.rs"],
        "journal: `CompensationStarted`",
        "after a crash while a run is being undone its replay mismatches, and the run is blocked",
    ),
    bug(
        50,
        "a child's end is told only to a parent in memory",
        &["kernel/engine/runs.rs"],
        "journal: `ChildEnded` stands in one group with the child's `RunEnded`",
        "a parent that is asleep when its child ends waits for it for ever",
    ),
    bug(
        51,
        "a child is not cancelled",
        &["kernel/engine/runs.rs"],
        "journal: the intent to cancel a child is applied once",
        "a child whose parent was cancelled, has ended or has dropped it goes on as if nothing had happened",
    ),
    bug(
        52,
        "a cancel is lost when the run is asleep",
        &["kernel/engine/runs.rs"],
        "an acknowledged cancel is on disk",
        "the cancel of a run that is not in memory is acknowledged and never heard of again",
    ),
    bug(
        53,
        "a timer is lost when the run is asleep",
        &["kernel/engine/runs.rs"],
        "timers fire once",
        "a timer that comes due while its run is not in memory leaves no event: the run sleeps for ever",
    ),
    bug(
        54,
        "timers begin anew at open",
        &["kernel/engine/runs.rs"],
        "timers fire late within a bound",
        "after an open a timer waits for its whole span again, and fires long after its due time",
    ),
    bug(
        55,
        "a timer fires before its due time",
        &["kernel/engine/runs.rs"],
        "journal: `TimerFired` carries the later of wall clock and due time",
        "when the wall clock was set back, the code's time behind a sleep is earlier than the sleep's end",
    ),
    bug(
        56,
        "a clock that is set back prolongs a timer",
        &["kernel/engine/timers.rs"],
        "journal: a clock set back prolongs nothing",
        "a timer waits until the wall clock shows its due time, however long ago its span was used up",
    ),
    bug(
        57,
        "an idempotency key of the input as it is computed now",
        &["kernel/machine.rs"],
        "journal: the key is made of the recorded digest",
        "when a build has given an input a field with a value, the next attempt of a call that is under way has another key: its effect \
         happens twice",
    ),
    bug(
        58,
        "equal calls are not counted at replay",
        &["kernel/machine.rs"],
        "journal: the key is made of the ordinal among recorded equals",
        "after an open the second of two equal calls has the key of the first: its effect is taken for done, or happens twice",
    ),
    bug(
        59,
        "entries in the order of a map",
        &["kernel/engine/runs.rs"],
        "journal: a turn's entries stand in the order in which they were asked for",
        "the replay of a turn that asked for several things mismatches, and the run is blocked",
    ),
    bug(
        60,
        "a blocked run releases its effects",
        &["kernel/engine/attempts.rs"],
        "journal: no attempt begins while its run is blocked or has something to see first",
        "attempts of a blocked run begin",
    ),
    bug(
        61,
        "logical time follows the clock back",
        &["kernel/machine.rs"],
        "logical time never goes back",
        "when the wall clock was set back, a workflow's time is earlier than it was a moment ago",
    ),
    bug(
        62,
        "randomness counts what this process has delivered",
        &["kernel/machine.rs"],
        "journal: randomness counts delivered events",
        "after an open a run draws numbers that it has drawn before, and replays of what it asks for with them mismatch",
    ),
    bug(
        63,
        "a shutdown parks nothing",
        &["kernel/engine/attempts.rs"],
        "journal: nothing may have run after `Closed`",
        "a store is closed as clean with attempts in flight: they begin again under their numbers without a record, or burn one, \
         and their effects are not called unknown",
    ),
    bug(
        64,
        "a run's deadline is lost at open",
        &["kernel/engine/runs.rs"],
        "a run ends when its time is over",
        "a run with a timeout that lives through an open never times out",
    ),
    bug(
        65,
        "a terminated run does not name what stands",
        &["kernel/undo.rs"],
        "journal: a terminated run names every call with an undo that is not undone",
        "the end of a terminated run leaves out effects that stand",
    ),
];
