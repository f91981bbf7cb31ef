//! How long each scenario takes to be explored from end to end, and how many times in a second a workflow of ten steps is crashed,
//! recovered and played to its end, on so many threads. `whole_runs [THREADS] [CRASHES]`.

use std::num::NonZero;
use std::time::Instant;

use durable_testkit::explore::runs::catalogue;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let threads = arguments.next().and_then(NonZero::new).unwrap_or(NonZero::new(2).expect("two"));
    let times = arguments.next().unwrap_or(2_000) as u64;
    let scenarios = catalogue();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        (0..threads.get()).for_each(|_| drop(scope.spawn(|| scenarios[0].crash_and_finish(times))));
    });
    let all = times * threads.get() as u64;
    println!("{:.0} crashes of `{}` a second", all as f64 / begun.elapsed().as_secs_f64(), scenarios[0].name);
    for scenario in scenarios {
        let begun = Instant::now();
        let explored = scenario.explore(threads);
        println!("{explored} in {:.1} s", begun.elapsed().as_secs_f64());
    }
}
