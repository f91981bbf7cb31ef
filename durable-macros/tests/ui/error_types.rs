//! An error is recorded as itself or converts into a box.
use durable::prelude::*;

#[derive(Debug)]
struct Neither;

#[activity]
async fn neither() -> Result<u8, Neither> {
    Ok(1)
}

type Alias<T> = std::result::Result<T, std::io::Error>;

#[workflow]
async fn an_error_that_is_not_serde() -> Alias<u8> {
    Ok(1)
}

fn main() {}
