//! The suite for stores, against the stores that there are; and against stores that are wrong in one way each, to see that each
//! check finds what it is for.

mod backends;
mod broken;
mod model;

/// The log, when the power goes and nothing survives that was not synced.
mod log_and_power_cuts {
    use super::backends::{Crash, LogOnSim};

    durable_testkit::conformance!(|| LogOnSim::new(Crash::PowerCut));
}

/// The log, when the power goes and anything may survive.
mod log_and_torn_writes {
    use super::backends::{Crash, LogOnSim};

    durable_testkit::conformance!(|| LogOnSim::new(Crash::Torn(0xD0)));
}

/// The log, when the process dies.
mod log_and_kills {
    use super::backends::{Crash, LogOnSim};

    durable_testkit::conformance!(|| LogOnSim::new(Crash::Process));
}

/// The log on real files.
mod log_on_real_files {
    use super::backends::LogOnReal;

    durable_testkit::conformance!(LogOnReal::new);
}

/// The store in memory.
mod plain {
    use super::backends::Plain;

    durable_testkit::conformance!(Plain::default);
}

#[test]
fn what_is_left_out_is_known() {
    use durable_testkit::conformance::{Outcome, check_all};
    let left_out = |outcomes: Vec<(&'static str, Outcome)>| {
        let left_out = outcomes.into_iter().filter(|(_, outcome)| *outcome != Outcome::Holds);
        left_out.map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert!(left_out(check_all(|| backends::LogOnSim::new(backends::Crash::PowerCut))).is_empty());
    let of_plain = left_out(check_all(backends::Plain::default));
    assert_eq!(of_plain.len(), 14, "{of_plain:?}");
    assert!(of_plain.contains(&"what_is_durable_survives_a_crash"), "{of_plain:?}");
}
