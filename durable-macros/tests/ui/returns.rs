//! A Result is returned.
use durable::prelude::*;

#[activity]
async fn nothing(x: u8) {
    let _ = x;
}

#[activity]
async fn bare(x: u8) -> u8 {
    x
}

fn main() {}
