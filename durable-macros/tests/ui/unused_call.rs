//! A call that is not awaited does nothing.
#![deny(unused_must_use)]
use durable::prelude::*;

#[activity]
async fn fetch(x: u8) -> Result<u8, String> {
    Ok(x)
}

#[workflow]
async fn forgets() -> Result<u8, String> {
    fetch(1);
    durable::step("x", || async { Ok::<u8, String>(1) });
    Ok(1)
}

fn main() {}
