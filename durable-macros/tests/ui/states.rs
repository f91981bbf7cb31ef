//! A state is written State(x): State<T>, and is Clone + Send + Sync.
use durable::prelude::*;

struct Pool;

#[activity]
async fn plain_name(pool: State<String>) -> Result<u8, String> {
    Ok(1)
}

#[activity]
async fn not_clone(State(pool): State<Pool>) -> Result<u8, String> {
    Ok(1)
}

fn main() {}
