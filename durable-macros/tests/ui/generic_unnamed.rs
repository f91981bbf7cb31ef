//! A generic function says under which name each instance is recorded.
use durable::prelude::*;

trait Provider: Send + 'static {
    const NAME: &'static str;
}

struct Visa;

impl Provider for Visa {
    const NAME: &'static str = "visa";
}

#[activity]
async fn charge<P: Provider>(cents: u64) -> Result<u64, String> {
    Ok(cents)
}

#[workflow(version = 2)]
async fn chunks<const N: usize>(bytes: Vec<u8>) -> Result<usize, String> {
    Ok(bytes.len() / N)
}

fn main() {
    let _ = (charge::<Visa>(1), chunks::<4>(vec![]));
}
