//! A call has the options of its kind.
use durable::prelude::*;

#[activity]
async fn fetch(x: u8) -> Result<u8, String> {
    Ok(x)
}

#[workflow]
async fn parent(x: u8) -> Result<u8, String> {
    Ok(x)
}

fn main() {
    let _ = fetch(1).timeout(Duration::from_secs(1));
    let _ = parent(1).retry(durable::retry::fixed("1s"));
}
