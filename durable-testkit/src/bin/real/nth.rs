//! The process kills itself at the n-th operation of its disk, for every n: before it, after it, and in the middle of a write. The
//! next one kills itself in the recovery, at every operation of that in turn; the one after it ends.

use std::io;

use crate::disk::Fatal;
use crate::report::Told;
use crate::rig::{PATIENCE, Rig, Site};
use crate::worker::Work;

/// So few runs that there is an end to the operations.
const RUNS: u64 = 32;

/// Bytes that go with each step: so many that the log goes on in a second and a third segment.
const LOAD: usize = 16 << 10;

/// After so many processes in a row that ended before their n-th operation, every n was reached.
const MISSES_MAX: u64 = 5;

/// Kinds of ends: a name, and what makes one of a number.
type Ends = [(&'static str, fn(u64) -> Fatal); 3];

const ENDS: Ends = [("before", Fatal::Before), ("after", Fatal::After), ("half", Fatal::Half)];

pub(crate) fn run(rig: &Rig, stride: u64, first: u64) -> io::Result<Told> {
    let mut told = Told::new("nth");
    let recovery = reference(rig, &mut told)?;
    for (name, end) in ENDS {
        let (mut number, mut misses) = (1 + first % stride, 0);
        while misses < MISSES_MAX && told.violations.is_empty() {
            let site = rig.site(&format!("nth-{name}-{number}"), &rig.base);
            let again = 1 + (number / stride) % recovery;
            misses = match point(&site, end(number), again, &mut told)? {
                true => 0,
                false => misses + 1,
            };
            number += stride;
        }
    }
    Ok(told)
}

fn work(site: &Site) -> Work {
    Work { parallel: 2, steps: 4, load: LOAD, count: true, ..site.work(RUNS) }
}

/// Counts the operations of an undisturbed process, and gives those of one that finds nothing to do.
fn reference(rig: &Rig, told: &mut Told) -> io::Result<u64> {
    let site = rig.site("nth-undisturbed", &rig.base);
    site.spawn(&work(&site))?.end(PATIENCE)?;
    let whole = site.history()?.counts;
    site.spawn(&work(&site))?.end(PATIENCE)?;
    let recovery = site.history()?.counts;
    told.add("operations", whole.operations);
    told.add("writes among them", whole.writes);
    told.add("operations of a recovery", recovery.operations);
    site.finish(&work(&site), told)?;
    Ok(recovery.operations.max(1))
}

/// Lets a process die there, another one in its recovery, and the third one end. Says whether the first one died.
fn point(site: &Site, fatal: Fatal, again: u64, told: &mut Told) -> io::Result<bool> {
    let has_died = dies(site, fatal, told)?;
    if has_died {
        told.add("deaths", 1);
        let in_recovery = dies(site, Fatal::Before(again), told)?;
        told.add("deaths in a recovery", u64::from(in_recovery));
    }
    site.finish(&Work { count: false, ..work(site) }, told)?;
    Ok(has_died)
}

fn dies(site: &Site, fatal: Fatal, told: &mut Told) -> io::Result<bool> {
    let Some(status) = site.spawn(&Work { fatal: Some(fatal), ..work(site) })?.end(PATIENCE)? else {
        told.violations.push(format!("{fatal:?}: the process neither died nor ended"));
        return Ok(true);
    };
    site.judge(status, &[0], told);
    Ok(status.code().is_none())
}
