//! What is not marked cannot be registered.
use durable::prelude::*;

async fn plain(x: u8) -> Result<u8, String> {
    Ok(x)
}

#[activity]
async fn fetch(x: u8) -> Result<u8, String> {
    Ok(x)
}

fn main() {
    let _ = durable::Registry::of((fetch, plain));
    let _ = durable::Registry::of(fetch);
    let _ = durable::Registry::of((fetch(1),));
}
