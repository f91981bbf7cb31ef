//! There is no self.
use durable::prelude::*;

struct Shop;

impl Shop {
    #[activity]
    async fn open(&self, hour: u8) -> Result<u8, String> {
        Ok(hour)
    }

    #[workflow]
    async fn whole(shop: Self) -> Result<u8, String> {
        Ok(1)
    }
}

fn main() {
    let _ = Shop.open(9);
}
