//! A half-typed body gives its own error alone.
use durable::prelude::*;

#[activity]
async fn fetch(x: u8) -> Result<u8, String> {
    let y = ;
    Ok(x)
}

fn main() {
    let _ = fetch(1);
}
