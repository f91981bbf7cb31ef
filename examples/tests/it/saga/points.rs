//! Every point of an order at which it is cancelled, its process stopped, or both. A poll is one of any task of the process: of the
//! driver, which polls the run in its own, of the log's writer, which waits for the disk at each operation, of the reader of journals, of
//! an attempt that waits for its partner. A moment is what such polls leave unchanged on the disk and outside.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use durable_testkit::Rng;
use expect_test::expect;

use super::ends::faults;
use super::partners::{Charging, Habits, Post, Refunding};
use super::play::{Act, After, Case, Played, Residence, Seen, play};
use super::shops::{self, BRIEF, EXAMPLE, FORGETS, PLAIN};

const KIND: Habits = Habits { charging: Charging::Takes, refunding: Refunding::Refunds, post: Post::Late };

const APPROVED: Case = Case {
    name: "approved",
    shop: EXAMPLE,
    habits: KIND,
    approved: Some(true),
    residence: Residence::Stays,
    seed: None,
};

const PUT_AWAY: Case = Case { name: "put away at every await", residence: Residence::PutAway, ..APPROVED };

const DENIED: Case = Case { name: "denied", approved: Some(false), ..APPROVED };

const TOO_LATE: Case = Case { name: "not approved in time", approved: None, ..APPROVED };

const SILENT_ONCE: Case =
    Case { name: "charged, no answer", habits: Habits { charging: Charging::SilentOnce, ..KIND }, ..APPROVED };

const SILENT: Case = Case {
    name: "charged, never an answer",
    shop: BRIEF,
    habits: Habits { charging: Charging::Silent, ..KIND },
    ..APPROVED
};

const DECLINED: Case = Case { name: "declined", habits: Habits { charging: Charging::Declines, ..KIND }, ..APPROVED };

const UNKNOWN: Case = Case { name: "never an answer, no undo of the unknown", shop: PLAIN, ..SILENT };

const NO_REFUND: Case =
    Case { name: "denied, no refund", shop: PLAIN, habits: Habits { refunding: Refunding::Fails, ..KIND }, ..DENIED };

const AT_ONCE: Case = Case { name: "at once", shop: shops::AT_ONCE, ..APPROVED };

const AT_ONCE_DECLINED: Case = Case { name: "at once, declined", shop: shops::AT_ONCE, ..DECLINED };

const AT_ONCE_SILENT: Case = Case { name: "at once, never an answer", shop: shops::AT_ONCE, ..SILENT };

const AT_MOST_ONCE: Case = Case { name: "at most once, no answer", shop: shops::AT_MOST_ONCE, ..SILENT_ONCE };

const LIMITED: Case = Case { name: "out of time", shop: shops::LIMITED, ..TOO_LATE };

const CASES: [Case; 14] = [
    APPROVED,
    PUT_AWAY,
    DENIED,
    TOO_LATE,
    SILENT_ONCE,
    SILENT,
    DECLINED,
    UNKNOWN,
    NO_REFUND,
    AT_ONCE,
    AT_ONCE_DECLINED,
    AT_ONCE_SILENT,
    AT_MOST_ONCE,
    LIMITED,
];

/// A play in which every rule holds.
fn sound(case: &Case, processes: &[&[Act]]) -> Played {
    let played = play(case, processes);
    let faults = faults(case, &played);
    assert!(
        faults.is_empty(),
        "{}: {processes:?}: {faults:#?}\n{:#?}\n{:?}",
        case.name,
        played.end,
        played.partners.ledger()
    );
    played
}

impl Seen {
    /// The polls at which something can happen to the order, to the one behind the last.
    fn polls_of_the_order(&self) -> RangeInclusive<u64> {
        self.from.unwrap().0..=self.polls + 1
    }

    fn operations_of_the_order(&self) -> RangeInclusive<u64> {
        self.from.unwrap().1..=self.operations
    }

    /// The moments from this poll on.
    fn moments_from(&self, poll: u64) -> impl Iterator<Item = u64> {
        self.moments.iter().copied().filter(move |moment| *moment >= poll)
    }
}

#[test]
fn an_order_ends_as_its_world_says() {
    let ends = CASES.map(|case| {
        let played = sound(&case, &[&[]]);
        let ledger: Vec<String> = played.partners.ledger().iter().map(ToString::to_string).collect();
        format!("{}: {}\n  {}\n", case.name, ledger.join(", "), played.end)
    });
    expect![[r#"
        approved: reserve, charge, ship
          Sold: Ok("charge-1")
        put away at every await: reserve, charge, ship
          Sold: Ok("charge-1")
        denied: reserve, charge, charge undone, reserve undone
          Failed: Err(Failed(NotApproved)); undone: reserve, charge
        not approved in time: reserve, charge, charge undone, reserve undone
          Failed: Err(Failed(NotApproved)); undone: reserve, charge
        charged, no answer: reserve, charge, ship
          Sold: Ok("charge-1")
        charged, never an answer: reserve, charge, charge undone, reserve undone
          Failed: Err(Failed(Charge(Exhausted { attempts: 2, last: TimedOut(StartToClose) }))); undone: reserve, charge
        declined: reserve, reserve undone
          Failed: Err(Failed(Charge(App(Declined)))); undone: reserve
        never an answer, no undo of the unknown: reserve, charge, reserve undone
          Failed: Err(Failed(Charge(Exhausted { attempts: 2, last: TimedOut(StartToClose) }))); undone: reserve; unknown: charge
        denied, no refund: reserve, charge, reserve undone
          NotUndone: Err(CompensationFailed { cause: Some(Failed(NotApproved)), undone: Undone { undone: [UndoneCall { seq: 1, name: "reserve" }], not_undone: [UndoneCall { seq: 2, name: "charge" }], unknown: [] } }); undone: reserve; not undone: charge
        at once: reserve, charge, ship
          Sold: Ok("charge-1")
        at once, declined: reserve, reserve undone
          Failed: Err(Failed(Charge(App(Declined)))); undone: reserve
        at once, never an answer: reserve, charge, charge undone, reserve undone
          Failed: Err(Failed(Charge(Exhausted { attempts: 2, last: TimedOut(StartToClose) }))); undone: reserve, charge
        at most once, no answer: reserve, charge, charge undone, reserve undone
          Failed: Err(Failed(Charge(TimedOut(StartToClose)))); undone: reserve, charge
        out of time: reserve, charge, charge undone, reserve undone
          TimedOut: Err(TimedOut); undone: reserve, charge
    "#]].assert_eq(&ends.concat());
}

#[test]
fn an_order_whose_process_is_stopped_at_any_point_goes_on() {
    let (mut polls, mut moments, mut shutdowns, mut operations) = (0, 0, 0, 0);
    for (number, case) in CASES.iter().enumerate() {
        let undisturbed = sound(case, &[&[]]).seen.remove(0);
        // One of them from the first poll of its process on, in which the store is opened.
        let (poll, operation) = if number == 0 { (1, 0) } else { undisturbed.from.unwrap() };
        polls += undisturbed.polls + 1 - poll;
        for (moment, n) in undisturbed.moments_from(poll).zip(0..) {
            sound(case, &[&[Act::DieAtPoll(moment, After::Crash)]]);
            moments += 1;
            if is_tried(n, 9) {
                sound(case, &[&[Act::ShutDown(moment)]]);
                shutdowns += 1;
            }
        }
        for operation in operation..=undisturbed.operations {
            for (after, n) in AFTER.into_iter().zip(operation..) {
                if is_tried(n, 3) {
                    sound(case, &[&[Act::DieAtOperation(operation, after)]]);
                }
            }
            operations += 1;
        }
    }
    println!("{polls} polls are {moments} moments: a crash at each, a shutdown at {shutdowns}");
    println!("{operations} operations: a crash or a power cut at each");
}

#[test]
fn an_order_that_is_cancelled_or_terminated_at_any_point_leaves_nothing_unnamed() {
    let (mut polls, mut terminations) = (0, 0);
    for case in CASES {
        for poll in sound(&case, &[&[]]).seen[0].polls_of_the_order() {
            sound(&case, &[&[Act::Cancel(poll)]]);
            polls += 1;
            if is_tried(poll, 5) {
                sound(&case, &[&[Act::Terminate(poll)]]);
                terminations += 1;
            }
        }
    }
    println!("{polls} polls: a cancel at each, a termination at {terminations}");
}

/// The polls at which a cancel makes a difference to the disk or to the partners, and what is seen then.
fn cancels(case: &Case) -> Vec<(u64, Seen)> {
    let mut likenesses = BTreeMap::new();
    for poll in sound(case, &[&[]]).seen[0].polls_of_the_order() {
        let mut cancelled = sound(case, &[&[Act::Cancel(poll)]]);
        likenesses.entry(cancelled.likeness()).or_insert_with(|| (poll, cancelled.seen.remove(0)));
    }
    let mut cancels: Vec<_> = likenesses.into_values().collect();
    cancels.sort_by_key(|(poll, _)| *poll);
    cancels
}

/// Of a process that dies at an operation, one of these at a time.
const AFTER: [After; 3] = [After::PowerCut, After::TornPowerCut, After::CrashDone];

/// Whether everything is tried that there is; it takes minutes.
static ALL_POINTS: LazyLock<bool> = LazyLock::new(|| std::env::var_os("DURABLE_ALL_POINTS").is_some());

/// Whether a pair is tried: one of so many, or each.
fn is_tried(pair: u64, of: u64) -> bool {
    *ALL_POINTS || pair.is_multiple_of(of)
}

fn cancelled_then_stopped(case: &Case, one_of: u64) {
    let (cancels, mut pairs, mut tried) = (cancels(case), 0, 0);
    for (cancel, seen) in &cancels {
        let at_moments = seen.moments_from(*cancel).map(|moment| Act::DieAtPoll(moment, After::Crash));
        let at_operations = seen.operations_of_the_order().zip(AFTER.into_iter().cycle());
        let at_operations = at_operations.map(|(operation, after)| Act::DieAtOperation(operation, after));
        for crash in at_moments.chain(at_operations) {
            pairs += 1;
            if is_tried(pairs, one_of) {
                sound(case, &[&[Act::Cancel(*cancel), crash]]);
                tried += 1;
            }
        }
    }
    println!("{}: {} different cancels, with each stop {pairs} pairs, {tried} tried", case.name, cancels.len());
}

#[test]
fn an_order_that_is_cancelled_and_whose_process_is_then_stopped_leaves_nothing_unnamed() {
    cancelled_then_stopped(&APPROVED, 3);
    cancelled_then_stopped(&DENIED, 6);
    cancelled_then_stopped(&PUT_AWAY, 24);
}

#[test]
fn an_order_in_a_bad_world_that_is_cancelled_and_whose_process_is_then_stopped_leaves_nothing_unnamed() {
    cancelled_then_stopped(&SILENT, 12);
    cancelled_then_stopped(&NO_REFUND, 9);
    cancelled_then_stopped(&AT_ONCE_DECLINED, 9);
    cancelled_then_stopped(&AT_ONCE_SILENT, 24);
    cancelled_then_stopped(&AT_MOST_ONCE, 24);
}

#[test]
fn an_order_whose_process_is_stopped_and_that_is_then_cancelled_leaves_nothing_unnamed() {
    for (case, one_of) in [(APPROVED, 6), (SILENT_ONCE, 18)] {
        let (undisturbed, mut pairs, mut tried) = (sound(&case, &[&[]]).seen.remove(0), 0, 0);
        for crash in undisturbed.moments_from(undisturbed.from.unwrap().0) {
            let died = Act::DieAtPoll(crash, After::Crash);
            let second = sound(&case, &[&[died]]).seen.remove(1);
            for cancel in second.moments_from(second.from.unwrap().0) {
                pairs += 1;
                if is_tried(pairs, one_of) {
                    sound(&case, &[&[died], &[Act::Cancel(cancel)]]);
                    tried += 1;
                }
            }
        }
        println!("{}: {pairs} pairs of a crash and a cancel behind it, {tried} tried", case.name);
    }
}

#[test]
fn an_order_that_is_cancelled_twice_or_terminated_while_it_is_undone_leaves_nothing_unnamed() {
    let (mut pairs, mut tried) = (0, 0);
    for case in [APPROVED, SILENT, NO_REFUND] {
        for (cancel, seen) in cancels(&case) {
            for moment in seen.moments_from(cancel) {
                pairs += 1;
                if !is_tried(pairs, 12) {
                    continue;
                }
                let twice = sound(&case, &[&[Act::Cancel(cancel), Act::Cancel(moment)]]).end;
                assert_eq!(seen.end.as_ref(), Some(&twice), "{}: before polls {cancel} and {moment}", case.name);
                sound(&case, &[&[Act::Cancel(cancel), Act::Terminate(moment)]]);
                tried += 1;
            }
        }
    }
    println!("{pairs} pairs of a cancel and a second one, or a termination, {tried} tried");
}

#[test]
fn an_order_to_which_all_of_it_happens_leaves_nothing_unnamed() {
    // The same seeds every time, or those from `DURABLE_SEED` on.
    let from = std::env::var("DURABLE_SEED").ok().map_or(0, |text| text.parse::<u32>().expect("a number as the seed"));
    let rounds = if *ALL_POINTS { 2_000 } else { 100 };
    for seed in (u64::from(from)..).take(rounds) {
        let mut rng = Rng::new(seed);
        let residence = [Residence::Stays, Residence::PutAway][rng.index(2)];
        let case = Case { seed: Some(seed), residence, ..CASES[rng.index(CASES.len())] };
        let processes: Vec<Vec<Act>> =
            (0..=rng.index(4)).map(|_| (0..=rng.index(3)).map(|_| drawn(&mut rng)).collect()).collect();
        let processes: Vec<&[Act]> = processes.iter().map(Vec::as_slice).collect();
        sound(&case, &processes);
    }
}

fn drawn(rng: &mut Rng) -> Act {
    let poll = rng.index(200) as u64 + 1;
    match rng.index(9) {
        0..3 => Act::Cancel(poll),
        3 => Act::Terminate(poll * 3),
        4 => Act::ShutDown(poll),
        5 | 6 => Act::DieAtPoll(poll, [After::Crash, After::CrashDone][rng.index(2)]),
        _ => Act::DieAtOperation(poll / 2, AFTER[rng.index(3)]),
    }
}

/// How many of these plays break a rule.
fn broken(case: &Case) -> usize {
    let undisturbed = play(case, &[&[]]).seen.remove(0);
    let cancelled = undisturbed.polls_of_the_order().map(|poll| play(case, &[&[Act::Cancel(poll)]]));
    cancelled.filter(|played| !faults(case, played).is_empty()).count()
}

#[test]
fn a_check_finds_what_is_not_undone() {
    let pretends = Case { habits: Habits { refunding: Refunding::Pretends, ..KIND }, ..APPROVED };
    let forgets = Case { shop: FORGETS, ..APPROVED };
    let lost = Case { habits: Habits { post: Post::Lost, ..KIND }, ..APPROVED };
    assert!(broken(&pretends) > 10);
    assert!(broken(&forgets) > 10);
    assert_eq!(broken(&lost), 0);
    let faults = |case: Case| faults(&case, &play(&Case { approved: Some(false), ..case }, &[&[]]));
    expect![[r#"
        [
            [
                "what stands and is not named: [\"charge\"]",
                "what its end says is undone, and stands: [\"charge\"]",
            ],
            [
                "what stands and is not named: [\"charge\"]",
            ],
        ]
    "#]]
    .assert_debug_eq(&[faults(pretends), faults(forgets)]);
}
