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

#[workflow]
async fn pair(x: u8) -> (u8, Option<u8>) {
    (x, Some(x))
}

struct Plain;

#[activity]
async fn a_type_of_the_users_own() -> Plain {
    Plain
}

#[workflow]
async fn caller() -> durable::Result<u8> {
    nothing(1).await?;
    let (x, _) = pair(bare(1).await?).await?;
    Ok(x)
}

fn main() {}
