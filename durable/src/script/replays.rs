//! Properties of replay: whatever a program does and in whatever order its outcomes come, its journal gives the same run again,
//! from every prefix, in every thread, put away at every await or not.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::program::{Program, SIGNALS, interpret, programs, registry, registry_without_green, unbiased_programs};
use super::shown;
use super::world::{BEGIN, Build, Reads, Syncs, World, failed};
use crate::codec::hash;
use crate::kernel::engine::{AttemptOrder, AttemptReport, Residence, Retry, TurnEnd, Turns};
use crate::kernel::event::{End, Entry, Event, Payload, Sender, UndoBits};
use crate::kernel::id::{Digest, EventNo, RunNo, Seq};
use crate::kernel::machine::TurnDone;
use crate::kernel::tables::WaitingFor;
use crate::payload::{PayloadCodec, encode};
use crate::registry::Registry;
use crate::runtime::definitions::Definitions;
use crate::runtime::replay::{EndCheck, Replay};
use crate::runtime::turns::Hot;
use crate::store::Journal;
use crate::store::log::JournalEvent;

/// How many moves a recording may take before it is left as it is: an open run is replayed as well.
const MOVES: usize = 400;

/// Small numbers in an order that a seed says (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// What a recording left.
#[derive(Debug)]
struct Recording {
    journals: BTreeMap<RunNo, Journal>,
    ends: BTreeMap<RunNo, (End, Payload)>,
    /// (activity, idempotency key, attempt), sorted.
    effects: Vec<(String, String, u32)>,
    /// Two things of one run, or of a run and its child, came due in the same instant, or a call was settled where it was dropped: a run
    /// that was loaded in between sees them as they came.
    simultaneous: bool,
}

impl Recording {
    fn cancels_a_child(&self) -> bool {
        self.journals
            .values()
            .flatten()
            .any(|(_, _, event)| matches!(event, Event::CancelRequested { actor, .. } if actor.as_str() == "parent"))
    }

    fn commands(&self) -> usize {
        let turns = self.journals.values().flatten().filter_map(|(_, _, event)| match event {
            Event::Turn { entries, .. } => Some(entries),
            _ => None,
        });
        let is_command = |entry: &&Entry| !matches!(entry, Entry::CommandDropped { .. } | Entry::SignalTaken { .. });
        turns.flatten().filter(is_command).count()
    }
}

/// Something that can happen next.
enum Move {
    Attempt(RunNo, Seq),
    /// All that run report together.
    Attempts(Vec<(RunNo, Seq)>),
    Timer,
    Signal(String, String),
}

fn moves(world: &World, together: bool) -> Vec<Move> {
    let attempts = world.running.keys().map(|(run, seq)| Move::Attempt(*run, *seq));
    let mut moves: Vec<Move> = attempts.collect();
    if together && world.running.len() > 1 {
        moves.push(Move::Attempts(world.running.keys().copied().collect()));
    }
    if world.next_timer().is_some() {
        moves.push(Move::Timer);
    }
    for entry in world.kernel().tables().open.values() {
        for waiting in &entry.waiting {
            if let WaitingFor::Signal { name } = &waiting.what {
                moves.push(Move::Signal(entry.id.to_string(), name.to_string()));
            }
        }
    }
    moves
}

/// Runs a program to its end, with outcomes in an order that `seed` says.
fn record(program: &Program, seed: u64, residence: Residence) -> Recording {
    let mut world = World::new();
    world.residence = residence;
    world.open(&Build::new("b1", registry()));
    let (mut dice, mut simultaneous) = (Dice(seed), false);
    world.start_call(&interpret(program.clone()).into_start(), "root");
    simultaneous |= settles_at_once(&world.told);
    for value in 0..20_u64 {
        if world.kernel().tables().open.is_empty() {
            break;
        }
        world.signal("root", SIGNALS[2].name(), value_of(value), Sender::Anonymous);
    }
    for round in 0..MOVES {
        // All runs of a program are one family: what comes of them together comes to one run in the same instant.
        let mut moves = moves(&world, seed.is_multiple_of(4));
        if world.kernel().tables().open.is_empty() {
            break;
        }
        assert!(!moves.is_empty(), "nothing can happen, and a run is open:\n{}", world.told);
        if dice.below(50) == 0 && world.is_running("root") {
            let told = world.told.len();
            world.cancel("root");
            simultaneous |= settles_at_once(&world.told[told..]);
            continue;
        }
        let told = world.told.len();
        let next = moves.swap_remove(dice.below(moves.len()));
        simultaneous |= matches!(&next, Move::Attempts(_));
        let timer = go(&mut world, next, round);
        // A timer that is due as soon as it is armed fires in whatever move armed it.
        let causes: &[&str] = if timer { &["TimerFired", "timed out", "AttemptStarted"] } else { &["TimerFired"] };
        simultaneous |= settles_at_once(&world.told[told..]) || is_simultaneous(&world.told[told..], causes);
    }
    let runs: Vec<RunNo> = world.log.ids.keys().copied().filter(|run| run.0 > 0).collect();
    let mut effects: Vec<(String, String, u32)> =
        world.begun.iter().map(|(name, key, attempt)| (name.to_string(), key.clone(), attempt.0)).collect();
    effects.sort();
    assert!(!world.told.contains("RunBlocked"), "{program:?}\n{}", world.told);
    Recording {
        journals: runs.into_iter().map(|run| (run, world.log.journal(run))).collect(),
        ends: std::mem::take(&mut world.ends),
        effects,
        simultaneous,
    }
}

/// Whether the clock did two things to one run, or to a run and one that it is a child of.
fn is_simultaneous(told: &str, causes: &[&str]) -> bool {
    let caused = |line: &&str| causes.iter().any(|cause| line.contains(cause));
    let runs: Vec<&str> = told.lines().filter(caused).filter_map(|line| line.trim().split('.').next()).collect();
    let of_one_family = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}/")) || b.starts_with(&format!("{a}/"));
    (1..runs.len()).any(|i| runs[..i].iter().any(|run| of_one_family(run, runs[i])))
}

/// Whether a turn dropped a call that was settled at once: then the run has a second event to see in the same instant.
fn settles_at_once(told: &str) -> bool {
    told.contains(": cancelled")
}

/// Makes a move; says whether it was the clock's.
fn go(world: &mut World, next: Move, round: usize) -> bool {
    match next {
        Move::Attempt(run, seq) => {
            let order = world.running.get(&(run, seq)).unwrap().clone();
            let report = report_of(&order);
            world.report(&order, report);
        }
        Move::Attempts(calls) => {
            let orders = calls.iter().map(|call| world.running.get(call).unwrap().clone());
            let reports = orders.map(|order| (order.clone(), report_of(&order))).collect();
            world.report_all(reports);
        }
        Move::Timer => {
            let span = world.next_timer().unwrap();
            world.advance(span);
            return true;
        }
        Move::Signal(id, name) => {
            let value = u64::try_from(round).unwrap();
            world.signal(&id, &name, value_of(value), Sender::Anonymous);
        }
    }
    false
}

fn value_of(value: u64) -> Payload {
    encode(PayloadCodec::MessagePack, &value).unwrap()
}

/// How an attempt ends is a function of its key and its number.
fn report_of(order: &AttemptOrder) -> AttemptReport {
    let mut dice = Dice(order.recorded_value.0 ^ u64::from(order.ordinal) << 32 ^ u64::from(order.attempt.0));
    match dice.below(12) {
        0 => failed("final", Retry::Never),
        1 | 2 => failed("again", Retry::ByPolicy),
        3 => AttemptReport::Panicked("ouch".into()),
        _ => AttemptReport::Completed(value_of(u64::try_from(dice.below(1000)).unwrap())),
    }
}

/// Replays the first `len` events and gives the run the rest as it came: it must ask for the same and end with the same.
fn replay(journal: &Journal, len: usize, end: Option<&(End, Payload)>) -> Result<(), String> {
    let mut hot = Hot::new(std::sync::Arc::new(Definitions::of(registry())), PayloadCodec::MessagePack, "b1".into());
    let run = RunNo(1);
    let replayed = hot.replay(run, journal[..len].to_vec().into(), None).map_err(|failure| format!("{failure:?}"))?;
    let next = len;
    let rest = journal[next..].iter().filter(|(_, _, event)| event.is_delivered());
    let turns: BTreeMap<EventNo, &[Entry]> = journal
        .iter()
        .filter_map(|(_, _, event)| match event {
            Event::Turn { of, entries } => Some((*of, &**entries)),
            _ => None,
        })
        .collect();
    let mut keys: BTreeMap<Seq, (u32, Digest)> = BTreeMap::new();
    keys.extend(replayed.asked.iter().map(|issued| (issued.seq, (issued.ordinal, issued.recorded_value))));
    let unturned: Vec<_> = replayed.unturned.iter().chain(rest).cloned().collect();
    let mut ended = None;
    for (no, at, event) in unturned {
        let Some(recorded) = turns.get(&no) else { continue };
        let done = match hot.turn(run, no, at, &event) {
            TurnEnd::Quiet(done) => done,
            TurnEnd::Ended(done, how, result) => {
                ended = Some((how, result));
                done
            }
            TurnEnd::Blocked(reason) | TurnEnd::Stuck(reason) => return Err(reason.to_string()),
        };
        compare(recorded, &done, no)?;
        keys.extend(done.asked.iter().map(|issued| (issued.seq, (issued.ordinal, issued.recorded_value))));
    }
    if ended.as_ref() != end {
        return Err(format!("it ended with {ended:?}, and was recorded to end with {end:?}"));
    }
    check_keys(journal, &keys)
}

fn compare(recorded: &[Entry], done: &TurnDone, no: EventNo) -> Result<(), String> {
    let numbered = |entry: &Entry| match entry {
        Entry::ChildScheduled(child) => {
            let mut child = child.clone();
            child.child = RunNo(0);
            Entry::ChildScheduled(child)
        }
        other => other.clone(),
    };
    let recorded: Vec<Entry> = recorded.iter().map(numbered).collect();
    let asked: Vec<Entry> = done.entries.iter().map(numbered).collect();
    if recorded == asked { Ok(()) } else { Err(format!("the turn of event {no} was {recorded:?} and is {asked:?}")) }
}

/// The parts of an idempotency key are those that the journal alone gives.
fn check_keys(journal: &Journal, keys: &BTreeMap<Seq, (u32, Digest)>) -> Result<(), String> {
    let mut equals: BTreeMap<(String, Digest), u32> = BTreeMap::new();
    for (_, _, event) in journal {
        let Event::Turn { entries, .. } = event else { continue };
        for entry in entries {
            let Entry::ActivityScheduled(call) = entry else { continue };
            let ordinal = equals.entry((call.name.to_string(), call.value)).or_default();
            if let Some(key) = keys.get(&call.seq)
                && *key != (*ordinal, call.value)
            {
                return Err(format!(
                    "the key of seq {} is {key:?}, by the journal {:?}",
                    call.seq,
                    (*ordinal, call.value)
                ));
            }
            *ordinal += 1;
        }
    }
    Ok(())
}

/// Whether a group ends behind event `len` and not before it: what a turn ended is written with the turn.
fn is_within_a_group(journal: &Journal, len: usize) -> bool {
    matches!(journal.get(len), Some((_, _, Event::CompensationStarted { .. } | Event::RunEnded(_))))
}

fn turns_in(journal: &[JournalEvent]) -> u64 {
    journal.iter().map(|(_, _, event)| u64::from(matches!(event, Event::Turn { .. }))).sum()
}

/// The events before the last delivered one, and that one.
fn up_to_the_end(journal: &Journal) -> usize {
    journal.iter().rposition(|(_, _, event)| event.is_delivered()).unwrap() + 1
}

fn in_a_fresh_thread<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(f).join().unwrap())
}

/// Replays a whole journal in so many fresh threads.
fn replay_in_threads(recording: &Recording, threads: usize) -> Result<(), String> {
    for (run, journal) in &recording.journals {
        let end = recording.ends.get(run);
        let len = up_to_the_end(journal);
        for _ in 0..threads {
            in_a_fresh_thread(|| replay(journal, len, end))?;
        }
    }
    Ok(())
}

/// Runs a program through crashes, shutdowns, deploys (one of which lacks an activity), cancels and terminations of it and its children, a log
/// that lags and reads that come late, until it ends.
fn survive(program: &Program, seed: u64, residence: Residence) -> World {
    let builds =
        [Build::new("b1", registry()), Build::new("b2", registry()), Build::new("b3", registry_without_green())];
    let mut world = World::new();
    world.residence = residence;
    world.attempts = 3;
    world.open(&builds[0]);
    world.start_call(&interpret(program.clone()).into_start(), "root");
    let mut dice = Dice(seed);
    for round in 0..MOVES {
        match dice.below(40) {
            0 | 1 => {
                drop(world.kill());
                world.open(&builds[dice.below(3)]);
            }
            2 => {
                world.close();
                world.open(&builds[dice.below(3)]);
            }
            3 | 4 => world.syncs = Syncs::ByHand,
            5..=7 => world.sync(Some(1)),
            8 => world.reads = Reads::ByHand,
            9 | 10 => let_go(&mut world),
            _ => {}
        }
        let mut moves = moves(&world, true);
        if moves.is_empty() {
            let_go(&mut world);
            moves = self::moves(&world, true);
        }
        if world.kernel().tables().open.is_empty() {
            break;
        }
        if moves.is_empty() && lacks_something(&world) {
            drop(world.kill());
            world.open(&builds[0]);
            continue;
        }
        assert!(!moves.is_empty(), "nothing can happen, and a run is open:\n{}", world.told);
        if let Some(id) = unlucky(&world, dice.below(60), &mut dice) {
            world.cancel(&id);
            continue;
        }
        if let Some(id) = unlucky(&world, dice.below(150), &mut dice) {
            world.terminate(&id);
            continue;
        }
        go(&mut world, moves.swap_remove(dice.below(moves.len())), round);
    }
    let_go(&mut world);
    world
}

/// Whether a run waits for another build.
fn lacks_something(world: &World) -> bool {
    let kernel = world.kernel();
    kernel.tables().open.keys().any(|run| kernel.is_blocked(run))
}

/// One of the open runs, if 0 was thrown.
fn unlucky(world: &World, thrown: usize, dice: &mut Dice) -> Option<String> {
    let open = &world.kernel().tables().open;
    let entry = open.values().nth(if thrown == 0 { dice.below(open.len()) } else { return None })?;
    Some(entry.id.to_string())
}

/// The log catches up, and so do the reads.
fn let_go(world: &mut World) {
    (world.syncs, world.reads) = (Syncs::AtOnce, Reads::AtOnce);
    world.sync(None);
    world.read();
}

/// As many cases as `PROPTEST_CASES` says, 32 without it.
fn config() -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().map_or(32, |text| text.parse().expect("a number of cases"));
    Config { cases, failure_persistence: None, max_global_rejects: 100 * cases, ..Config::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_replay_matches_every_event_of_a_journal_and_of_its_prefixes(program in programs(), seed: u64) {
        let recording = record(&program, seed, Residence::Stay);
        let replay = Replay::of(registry());
        let put_away = replay.clone().residence(Residence::PutAwayAtEveryAwait);
        let mut keys = BTreeSet::new();
        for (run, journal) in &recording.journals {
            for len in (1..=journal.len()).filter(|len| !is_within_a_group(journal, *len)) {
                let replayed = replay.journal(&journal[..len]).unwrap_or_else(|why| panic!("{len} events: {why}"));
                prop_assert_eq!((replayed.events, replayed.matched), (len as u64, len as u64));
                prop_assert_eq!(replayed.turns, turns_in(&journal[..len]));
            }
            let replayed = put_away.journal(journal).unwrap_or_else(|why| panic!("{run}, put away: {why}"));
            prop_assert_eq!(&replayed, &replay.journal(journal).unwrap());
            prop_assert_eq!(replayed.end == EndCheck::Open, !recording.ends.contains_key(run));
            keys.extend(replayed.calls.into_iter().map(|call| (call.activity, call.key)));
        }
        let begun = recording.effects.iter().map(|(name, key, _)| (name.clone(), key.clone()));
        let strange: Vec<_> = begun.filter(|effect| !keys.contains(effect)).collect();
        prop_assert!(strange.is_empty(), "these have keys that no journal gives: {strange:?}");
    }

    #[test]
    fn every_prefix_of_a_journal_gives_the_same_run(program in programs(), seed: u64) {
        let recording = record(&program, seed, Residence::Stay);
        for (run, journal) in &recording.journals {
            let end = recording.ends.get(run);
            let failed = in_a_fresh_thread(|| {
                // What ends the body and what says so are one group.
                let whole = |len: &usize| !matches!(journal.get(*len), Some((_, _, Event::CompensationStarted { .. })));
                (1..=up_to_the_end(journal)).filter(whole).find_map(|len| replay(journal, len, end).err().map(|why| (len, why)))
            });
            prop_assert!(failed.is_none(), "prefix {failed:?} of run {run}: {journal:#?}");
            prop_assert_eq!(what_is_wrong_with_its_undoing(journal), None, "{:#?}", journal);
        }
    }

    #[test]
    fn a_run_that_is_put_away_at_every_await_leaves_the_same_journal(program in programs(), seed: u64) {
        let stays = record(&program, seed, Residence::Stay);
        let put_away = record(&program, seed, Residence::PutAwayAtEveryAwait);
        prop_assume!(!stays.simultaneous && !put_away.simultaneous);
        // A child that is cancelled races its parent: how far it came depends on how long the parent's load took.
        prop_assume!(!stays.cancels_a_child() && !put_away.cancels_a_child());
        prop_assert_eq!(first_difference(&stays, &put_away), None);
        prop_assert!(stays.journals == put_away.journals);
        prop_assert_eq!(&stays.ends, &put_away.ends);
        prop_assert_eq!(&stays.effects, &put_away.effects);
    }

    #[test]
    fn a_program_survives_crashes_and_begins_nothing_that_its_journal_does_not_know(
        program in programs(), seed: u64, put_away: bool,
    ) {
        let residence = if put_away { Residence::PutAwayAtEveryAwait } else { Residence::Stay };
        let world = survive(&program, seed, residence);
        prop_assert!(!world.told.contains("RunBlocked"), "{}", world.told);
        for run in world.log.ids.keys().filter(|run| run.0 > 0) {
            let journal = world.log.journal(*run);
            prop_assert_eq!(what_is_wrong_with_its_undoing(&journal), None, "{}", world.told);
        }
        let known = keys_of(&world);
        let mut newest: BTreeMap<&str, u32> = BTreeMap::new();
        for (name, key, attempt) in &world.begun {
            prop_assert!(known.contains(key), "the journal does not know a call of `{name}` that began\n{}", world.told);
            let before = newest.insert(key, attempt.0).unwrap_or(0);
            prop_assert!(before <= attempt.0, "attempts of a call go on\n{}", world.told);
            prop_assert!(name.as_str() != "blue" || before == 0, "at most once\n{}", world.told);
        }
    }
}

/// Holds a whole journal to the table of what is undone at which end, event by event, without the engine's own account of it.
fn what_is_wrong_with_its_undoing(journal: &Journal) -> Option<String> {
    let (mut bound, mut dropped, mut completed, mut unknown) =
        (BTreeMap::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut undoing, mut undone, mut failed) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let (mut ended, mut clean) = (None, BTreeSet::new());
    for (_, _, event) in journal {
        match event {
            Event::Turn { entries, .. } => {
                for entry in entries {
                    match entry {
                        Entry::CompensationRegistered { seq, .. } => {
                            bound.insert(*seq, UndoBits { undo: true, ..UndoBits::default() });
                            completed.insert(*seq);
                        }
                        Entry::ActivityScheduled(call) => {
                            if call.undo.undo {
                                bound.insert(call.seq, call.undo);
                            }
                            if let Some(seq) = call.undoes {
                                undoing.insert(call.seq, seq);
                                if undoing.values().filter(|other| **other == seq).count() > 1 {
                                    return Some(format!("seq {seq} is undone twice"));
                                }
                            }
                        }
                        Entry::CommandDropped { seq } => drop(dropped.insert(*seq)),
                        _ => {}
                    }
                }
            }
            Event::ActivityCompleted { seq, .. } => {
                completed.insert(*seq);
                undone.extend(undoing.get(seq));
            }
            Event::ActivityFailed { seq, maybe, .. } => {
                if *maybe {
                    unknown.insert(*seq)
                } else {
                    clean.insert(*seq)
                };
                failed.extend(undoing.get(seq));
            }
            Event::RunEnded(end) => ended = Some(end),
            _ => {}
        }
    }
    let ended = ended?;
    let seqs =
        |calls: &[crate::kernel::event::UndoneCall]| calls.iter().map(|call| call.seq).collect::<BTreeSet<Seq>>();
    let (not_undone, named_unknown) = (seqs(&ended.undone.not_undone), seqs(&ended.undone.unknown));
    if ended.how == End::Terminated {
        let missing = bound.keys().find(|&seq| {
            let named = match () {
                () if undone.contains(seq) => seqs(&ended.undone.undone).contains(seq),
                () if completed.contains(seq) || failed.contains(seq) => not_undone.contains(seq),
                () if clean.contains(seq) => !not_undone.contains(seq) && !named_unknown.contains(seq),
                () => named_unknown.contains(seq) || (unknown.contains(seq) && not_undone.contains(seq)),
            };
            !named
        });
        return missing
            .map(|seq| format!("it was terminated and does not say of seq {seq} what is: {:?}", ended.undone));
    }
    if seqs(&ended.undone.undone) != undone || not_undone != failed {
        return Some(format!("{undone:?} were undone and {failed:?} not, and it says {:?}", ended.undone));
    }
    if (ended.how == End::CompensationFailed) == failed.is_empty() {
        return Some(format!("{failed:?} were not undone, and it ended {:?}", ended.how));
    }
    for (seq, bits) in &bound {
        let must = ended.body != End::Completed || dropped.contains(seq);
        let is_done = undone.contains(seq) || failed.contains(seq);
        if completed.contains(seq) && must && !is_done {
            return Some(format!("the effect of seq {seq} stands, and the body ended {:?}", ended.body));
        }
        if unknown.contains(seq) && must && !(is_done || (!bits.unknown && named_unknown.contains(seq))) {
            return Some(format!("nobody says that the effect of seq {seq} may stand"));
        }
        if !completed.contains(seq) && !unknown.contains(seq) && is_done {
            return Some(format!("seq {seq} had no effect and was undone"));
        }
    }
    None
}

/// The idempotency keys of all calls that the journals hold.
fn keys_of(world: &World) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for run in world.log.ids.keys() {
        let mut equals: BTreeMap<(String, Digest), u32> = BTreeMap::new();
        let mut of_run = None;
        for (_, _, event) in world.log.journal(*run) {
            match event {
                Event::RunStarted(started) => of_run = Some(started.run),
                Event::Turn { entries, .. } => {
                    for entry in entries {
                        let Entry::ActivityScheduled(call) = entry else { continue };
                        let ordinal = equals.entry((call.name.to_string(), call.value)).or_default();
                        keys.insert(hash::idempotency_key(of_run.unwrap(), call.name.as_str(), call.value, *ordinal));
                        *ordinal += 1;
                    }
                }
                _ => {}
            }
        }
    }
    keys
}

/// The events in which two recordings differ first, with the one before.
fn first_difference(one: &Recording, other: &Recording) -> Option<[Vec<String>; 2]> {
    let lines = |recording: &Recording| -> Vec<String> {
        let all = recording.journals.iter().flat_map(|(run, journal)| journal.iter().map(move |event| (run, event)));
        all.map(|(run, (no, _, event))| format!("{run}.{no} {}", shown::event(event, BEGIN))).collect()
    };
    let (one, other) = (lines(one), lines(other));
    let place = one.iter().zip(&other).position(|(one, other)| one != other);
    let place = place.or_else(|| (one.len() != other.len()).then(|| one.len().min(other.len())))?;
    let around = |lines: &[String]| lines.iter().skip(place.saturating_sub(4)).take(8).cloned().collect();
    Some([around(&one), around(&other)])
}

/// The same programs every time, or those of `DURABLE_SEED`.
fn runner() -> TestRunner {
    let rng = match std::env::var("DURABLE_SEED").ok() {
        Some(text) => {
            let seed: u64 = text.parse().expect("a number as the seed");
            let bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
            TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
        }
        None => TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    };
    TestRunner::new_with_rng(Config::default(), rng)
}

/// As many journals as `DURABLE_JOURNALS` says (40 without it), each replayed in 16 fresh threads.
#[test]
fn journals_replay_in_fresh_threads() {
    let wanted = std::env::var("DURABLE_JOURNALS").ok().map_or(40, |text| text.parse().expect("a number of journals"));
    let (mut runner, programs) = (runner(), programs());
    let (mut journals, mut seed, mut commands) = (0_usize, 0_u64, Vec::new());
    while journals < wanted {
        let program = programs.new_tree(&mut runner).unwrap().current();
        seed += 1;
        let recording = record(&program, seed, Residence::Stay);
        commands.push(recording.commands());
        if let Err(why) = replay_in_threads(&recording, 16) {
            panic!("{why}\n{program:#?}");
        }
        journals += recording.journals.len();
    }
    commands.sort_unstable();
    let median = commands[commands.len() / 2];
    println!("{journals} journals of {} programs, each replayed in 16 fresh threads: no divergence", commands.len());
    println!("commands in a program: median {median}, most {}", commands.last().unwrap());
    assert!(median >= 12, "the programs are too small to show anything: their median is {median} commands");
}

#[test]
fn an_unbiased_select_that_the_macro_does_not_see_diverges_and_is_named() {
    let (mut runner, programs) = (runner(), unbiased_programs());
    let (mut diverged, mut told) = (0, Vec::new());
    for seed in 0..24 {
        let program = programs.new_tree(&mut runner).unwrap().current();
        let recording = record(&program, seed, Residence::Stay);
        if let Err(why) = replay_in_threads(&recording, 16) {
            diverged += 1;
            told.push(why);
        }
    }
    println!("{diverged} of 24 programs diverged");
    assert!(diverged >= 6, "only {diverged} of 24 programs diverged");
    let mismatches: Vec<&String> = told.iter().filter(|why| why.contains("[E0201]")).collect();
    assert!(!mismatches.is_empty(), "{told:#?}");
    for mismatch in mismatches {
        assert!(mismatch.contains("an unbiased `select!`"), "{mismatch}");
    }
}

/// The body ends while a scope undoes that has nothing to undo: the undoing of the run begins and ends in one turn.
#[test]
fn a_run_that_ends_in_the_turn_in_which_its_undoing_begins_replays() {
    use super::program::Node;
    let (fails, ends) = (Node::Scope(vec![Node::Look], true), Node::Detach(Box::new(Node::Look)));
    let program = Program(vec![Node::Select(Box::new(fails), Box::new(ends), Box::new(Node::Receive(0)))]);
    let recording = record(&program, 1, Residence::Stay);
    let journal = &recording.journals[&RunNo(1)];
    assert!(
        matches!(
            journal.as_slice(),
            [_, (_, _, Event::Turn { .. }), (_, _, Event::CompensationStarted { .. }), (_, _, Event::RunEnded(_))]
        ),
        "{journal:#?}"
    );
    let replayed = Replay::of(registry()).journal(journal).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((replayed.matched, replayed.end), (4, EndCheck::Alike));
}

/// More receives than tokio's budget lets a task make in one poll, all of them ready.
#[test]
fn three_hundred_receives_that_are_ready_in_one_poll_replay() {
    use super::program::Node;
    let burst = || Box::new(Node::Burst(150));
    let program = Program(vec![Node::Sleep(1000), Node::Join(burst(), burst()), Node::Call(0, 1)]);
    let mut world = World::new();
    world.open(&Build::new("b1", registry()));
    world.start_call(&interpret(program).into_start(), "root");
    for value in 0..300 {
        world.signal("root", SIGNALS[2].name(), value_of(value), Sender::Anonymous);
    }
    let span = world.next_timer().unwrap();
    world.advance(span);
    let order = world.running("red");
    world.report(&order, AttemptReport::Completed(value_of(1)));
    let run = RunNo(1);
    let (journal, end) = (world.log.journal(run), world.ends.get(&run).cloned());
    assert!(matches!(end, Some((End::Completed, _))), "{}", world.told);
    replay(&journal, up_to_the_end(&journal), end.as_ref()).unwrap();
}

/// A channel between branches that gives so many values at once: tokio's budget ends a poll early, where it counts.
#[crate::workflow]
async fn flood(n: u32) -> Result<u64, String> {
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    let receiver = crate::spawn(async move {
        let mut sum = 0;
        while let Some(x) = receive.recv().await {
            sum += u64::from(x);
        }
        sum
    });
    let first = SIGNALS[0].recv().await;
    (0..n).for_each(|x| send.send(x).unwrap());
    drop(send);
    Ok(first + receiver.await)
}

#[test]
fn a_poll_in_tokio_s_task_and_one_outside_see_the_same() {
    let registry = || Registry::of((flood,));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (journal, end) = runtime.block_on(async {
        let mut world = World::new();
        world.open(&Build::new("b1", registry()));
        world.start_call(&flood(500).into_start(), "root");
        world.signal("root", SIGNALS[0].name(), value_of(1), Sender::Anonymous);
        (world.log.journal(RunNo(1)), world.ends.remove(&RunNo(1)))
    });
    let turns = journal.iter().filter(|(_, _, event)| matches!(event, Event::Turn { .. })).count();
    assert_eq!((turns, end.map(|(how, _)| how)), (2, Some(End::Completed)), "{journal:#?}");
}
