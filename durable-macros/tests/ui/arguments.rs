//! Arguments can be recorded.
use durable::prelude::*;

struct Plain;

#[activity]
async fn takes(plain: Plain) -> Result<u8, String> {
    Ok(1)
}

#[activity]
async fn gives() -> Result<Plain, String> {
    Ok(Plain)
}

fn main() {}
