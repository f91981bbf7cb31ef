//! There is a body, and it is a function.
use durable::prelude::*;

trait Shop {
    #[activity]
    async fn open(hour: u8) -> Result<u8, String>;
}

#[workflow]
struct Checkout;

fn main() {}
