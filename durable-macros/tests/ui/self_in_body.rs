//! There is no `self` and no `Self` in a body.
use durable::prelude::*;

struct Shop {
    open: bool,
}

impl Shop {
    const HOUR: u8 = 9;

    #[activity]
    async fn hour() -> Result<u8, String> {
        Ok(Self::HOUR + Self::HOUR)
    }

    #[workflow]
    async fn is_open() -> Result<bool, String> {
        Ok(self.open)
    }
}

#[workflow]
async fn caller() -> durable::Result<bool> {
    struct Door(u8);
    impl Door {
        fn new(hour: u8) -> Self {
            Self(hour)
        }
        fn is_shut(&self) -> bool {
            self.0 > 20
        }
    }
    let door = Door::new(Shop::hour().await?);
    Ok(Shop::is_open().await? || door.is_shut())
}

fn main() {}
