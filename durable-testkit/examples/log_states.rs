//! How many crash states of the log are explored in a second, on so many threads. Prints what was explored.

use std::time::{Duration, Instant};

use durable_testkit::explore::{Report, Torture};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let (seconds, threads, seed) =
        (arguments.next().unwrap_or(10), arguments.next().unwrap_or(2), arguments.next().unwrap_or(0));
    let begin = Instant::now();
    let end = begin + Duration::from_secs(seconds);
    let workers: Vec<_> = (0..threads)
        .map(|thread| std::thread::spawn(move || Torture::new(seed + thread, threads).run_for(|| Instant::now() < end)))
        .collect();
    let mut report = Report::default();
    for worker in workers {
        report.add(worker.join().expect("a worker panicked"));
    }
    if !report.failures.is_empty() {
        println!("the rate counts the time to shrink what failed");
    }
    let took = begin.elapsed().as_secs_f64();
    print!("{}", report.counts);
    println!("{:.0} crash states a second, seeds {:?}", report.counts.states as f64 / took, report.seeds);
    report.failures.iter().for_each(|failure| println!("{failure}"));
}
