//! A misspelt name in an option is told as one.
use durable::prelude::*;

#[activity(retry = exponental("1s", 2.0))]
async fn function() -> Result<u8, String> {
    Ok(1)
}

#[activity(inputs = Stricter)]
async fn variant() -> Result<u8, String> {
    Ok(1)
}

fn main() {}
