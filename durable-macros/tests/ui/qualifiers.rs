//! No qualifiers.
use durable::prelude::*;

#[activity]
async unsafe fn dangerous() -> Result<u8, String> {
    Ok(1)
}

#[activity]
extern "C" fn foreign() -> Result<u8, String> {
    Ok(1)
}

#[activity]
const fn constant() -> Result<u8, String> {
    Ok(1)
}

#[activity]
async fn depends(#[cfg(test)] x: u8) -> Result<u8, String> {
    Ok(1)
}

fn main() {}
