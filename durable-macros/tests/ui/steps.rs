//! What a step's error must be.
use durable::prelude::*;

#[derive(Debug, Serialize, Deserialize)]
struct NotRetryable;

fn main() {
    let _ = durable::step("typed", || async { Err::<u8, _>(NotRetryable) });
    let _ = durable::step("io", || async { Err::<u8, _>(std::io::Error::other("x")) });
    let _ = durable::step("bare", || async { 1u8 });
}
