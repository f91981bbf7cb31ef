//! The explorer over the real log: a catalogue of small scenarios as a whole, and some random ones with several processes.

use durable_testkit::explore::{Counts, Exploration, ImageKind, Report, Torture, catalogue};

#[test]
fn every_crash_of_every_scenario_of_the_catalogue_is_survived() {
    let mut all = Counts::default();
    for scenario in catalogue() {
        match scenario.explore() {
            Ok(counts) => all.add(&counts),
            Err(failure) => panic!("{}: {failure}", scenario.name),
        }
    }
    assert!(all.rotten > 100, "{all}");
    assert!(all.states > 2_000 && all.unfolded > 4 * all.states, "{all}");
    assert!(all.by_depth.len() >= 2, "recoveries are crashed too: {all}");
    for kind in [ImageKind::Died, ImageKind::DiedInWrite, ImageKind::Cut, ImageKind::CutInWrite] {
        assert!(all.by_image.contains_key(&kind.to_string()), "{kind}: {all}");
    }
}

fn torture(seed: u64, seeds: u32, deepened_percent: u8) -> Report {
    let mut torture = Torture::new(seed, 1).with_exploration(Exploration { depth: 2, deepened_percent });
    let mut report = Report::default();
    (0..seeds).for_each(|_| report.add(torture.step()));
    report
}

fn nothing_failed(report: &Report) {
    if let Some(failure) = report.failures.first() {
        panic!("{failure}");
    }
}

/// The seed that `DURABLE_SEED` names, as the torture explores it, or one that is always the same.
#[test]
fn one_seed_of_the_log_torture() {
    let seed = std::env::var("DURABLE_SEED").ok().map(|text| text.parse().expect("a number as the seed"));
    let report = seed.map_or_else(|| torture(1, 1, 1), |seed| torture(seed, 1, 3));
    nothing_failed(&report);
    assert!(report.counts.states > 100 && report.counts.contended > 0, "{}", report.counts);
}

#[test]
fn a_seed_explores_the_same_every_time() {
    assert_eq!(torture(7, 3, 0), torture(7, 3, 0));
    assert_ne!(torture(7, 1, 0).counts, torture(8, 1, 0).counts);
}

#[test]
fn random_scenarios_and_several_processes_lose_nothing() {
    let report = torture(100, 20, 0);
    nothing_failed(&report);
    assert!(report.counts.states > 2_000 && report.counts.contended > 100, "{}", report.counts);
}

#[test]
fn a_slice_ends_when_it_is_told_to() {
    let mut asked = 0;
    let mut torture = Torture::new(3, 2);
    let report = torture.run_for(|| {
        asked += 1;
        asked < 50
    });
    assert_eq!(report.seeds.map(|(first, _)| first), Some(3));
    assert!((50 * 8..50 * 40).contains(&report.counts.unfolded), "{}", report.counts);
}
