//! `kill -9` at drawn moments. The ledger, into which every attempt and every acknowledgement goes as it happens, says whether
//! anything was lost or done twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use durable_testkit::Rng;

use crate::probe::{PATIENCE, Probe};

const KILLS: u64 = 20;
const SEED: u64 = 0x00D0_0DAD;
const CHAINS: u32 = 6;
const STEPS: u32 = 400;

/// What the ledger says, read line by line.
#[derive(Debug, Default)]
struct Ledger {
    /// The highest step of each run that has begun: the results of all before it are acknowledged by that.
    begun: BTreeMap<String, u32>,
    /// The runs that were acknowledged as started, with what those that ended gave.
    acknowledged: BTreeMap<String, Option<String>>,
    attempts: usize,
    repeated: usize,
}

impl Ledger {
    fn read(path: &Path) -> Ledger {
        let mut ledger = Ledger::default();
        std::fs::read_to_string(path).unwrap().lines().for_each(|line| ledger.take(line));
        ledger
    }

    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match *words.as_slice() {
            ["begin", run, step, _attempt] => self.begin(run, step.parse().unwrap()),
            ["started", run] => {
                self.acknowledged.entry(run.to_owned()).or_default();
            }
            ["ended", run, value] => {
                let before = self.acknowledged.insert(run.to_owned(), Some(value.to_owned()));
                assert!(
                    before.flatten().is_none_or(|before| before == value),
                    "{run} ended twice, with {value} at last"
                );
            }
            ["open", _] | ["still", _] | ["shut", _] => {}
            _ => panic!("`{line}` was not to be expected"),
        }
    }

    fn begin(&mut self, run: &str, step: u32) {
        self.attempts += 1;
        let ended = self.acknowledged.get(run).and_then(Option::as_ref);
        assert!(ended.is_none(), "{run}: step {step} begins, and the run's end was acknowledged");
        let next = self.begun.get(run).map_or(0, |newest| newest + 1);
        assert!(step + 1 >= next, "{run}: step {step} begins again, and step {} had its result", next - 1);
        assert!(step <= next, "{run}: step {step} begins, and step {next} was due");
        self.repeated += usize::from(step + 1 == next);
        self.begun.insert(run.to_owned(), step);
    }
}

/// Lets a probe work and kills it after some of its lines and some of its work.
fn kill_one(store: &Path, ledger: &Path, rng: &mut Rng) {
    let mut probe = Probe::open_with_ledger(store, ledger);
    for n in 0..CHAINS {
        // From the second round on this attaches.
        probe.say(&format!("start chain-{n} chain {STEPS}"));
        probe.say(&format!("watch chain-{n} chain"));
    }
    let lines = rng.below(u64::from(CHAINS) + 2);
    (0..lines).for_each(|_| drop(probe.next_line(Instant::now() + PATIENCE)));
    let len = || std::fs::metadata(ledger).unwrap().len();
    let (until, before) = (rng.below(4_000), len());
    crate::probe::eventually("so much work is done", || len() >= before + until || has_all_ended(ledger));
    assert_eq!(probe.kill().status.code(), None, "it was killed and did not end by itself");
}

fn has_all_ended(ledger: &Path) -> bool {
    std::fs::read_to_string(ledger).unwrap().lines().filter(|line| line.starts_with("ended ")).count()
        >= CHAINS as usize
}

#[test]
fn killed_at_any_moment_a_store_has_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (store, path) = (dir.path().join("store"), dir.path().join("ledger"));
    std::fs::write(&path, "").unwrap();
    let mut rng = Rng::new(SEED);
    (0..KILLS).for_each(|_| kill_one(&store, &path, &mut rng));

    let killed = Ledger::read(&path);
    assert!(killed.attempts as u64 > KILLS, "the kills met no work: {killed:?}");
    let mut last = Probe::open_with_ledger(&store, &path);
    let last_value = STEPS - 1;
    for n in 0..CHAINS {
        last.ask(&format!("start chain-{n} chain {STEPS}"), &format!("started chain-{n}"));
        let value = last.ask(&format!("watch chain-{n} chain"), &format!("ended chain-{n} "));
        assert_eq!(value, format!("result-chain-{n}-{last_value}"));
    }
    assert_eq!(last.shut_down().code(), 0);

    let all = Ledger::read(&path);
    assert!(all.acknowledged.len() == CHAINS as usize && all.acknowledged.values().all(Option::is_some), "{all:?}");
    assert!(all.begun.values().all(|newest| *newest == last_value), "{all:?}");
    let least = usize::try_from(CHAINS * STEPS).unwrap();
    assert_eq!(all.attempts, least + all.repeated, "each step once, and again only where a kill cut its attempt");
    assert!(all.repeated as u64 <= (KILLS + 1) * u64::from(CHAINS), "{all:?}");
}
