//! The explorer over the real log: a catalogue of small scenarios as a whole, and some random ones.

use durable_testkit::explore::{Counts, Exploration, Torture, catalogue};

#[test]
fn every_crash_of_every_scenario_of_the_catalogue_is_survived() {
    let mut all = Counts::default();
    for scenario in catalogue() {
        match scenario.explore() {
            Ok(counts) => {
                println!("{}: {counts}", scenario.name);
                all.add(&counts);
            }
            Err(failure) => panic!("{}: {failure}", scenario.name),
        }
    }
    println!("{all}");
}

/// The seed that `DURABLE_SEED` names, or one that is always the same.
#[test]
fn one_seed_of_the_log_torture() {
    let seed = std::env::var("DURABLE_SEED").ok().map_or(1, |text| text.parse().expect("a number as the seed"));
    let report = Torture::new(seed, 1).with_exploration(Exploration { depth: 2, deepened_percent: 1 }).step();
    report.failures.iter().for_each(|failure| panic!("{failure}"));
    assert!(report.counts.states > 100, "{}", report.counts);
}
