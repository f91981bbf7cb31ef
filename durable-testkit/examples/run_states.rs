//! What the exploration of whole runs costs: explores the scenarios whose names begin with the first argument, each for so many
//! seconds at most, on so many threads. Prints how far each came.

use std::num::NonZero;
use std::time::{Duration, Instant};

use durable_testkit::explore::runs::catalogue;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let mut number = || arguments.next().map(|text| text.parse::<u64>().expect("a number"));
    let (seconds, threads) = (number().unwrap_or(60), number().unwrap_or(2));
    let threads = NonZero::new(usize::try_from(threads).expect("a few threads")).expect("at least one thread");
    for scenario in catalogue().into_iter().filter(|scenario| scenario.name.starts_with(&name)) {
        let end = Instant::now() + Duration::from_secs(seconds);
        println!("{}", scenario.explore_while(threads, || Instant::now() < end));
    }
}
