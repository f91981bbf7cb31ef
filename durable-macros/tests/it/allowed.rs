//! What is refused in a workflow's body is not where it does no harm: in the closure of a step, under a name of the user's
//! own, and where it is allowed by name.

use std::time::Instant;

use durable::prelude::*;

mod own {
    pub(super) mod rand {
        pub(in super::super) fn random() -> u64 {
            4
        }
    }

    pub(super) mod thread {
        pub(in super::super) fn spawn(x: u64) -> u64 {
            x
        }
    }
}

struct Builder;

impl Builder {
    fn sleep(&self) -> u64 {
        1
    }
}

#[workflow]
async fn own_names() -> durable::Result<u64> {
    use own::thread;
    let path = "std::env::var";
    Ok(own::rand::random() + thread::spawn(2) + Builder.sleep() + path.len() as u64)
}

#[workflow]
async fn in_a_step() -> durable::Result<u64> {
    let began = durable::now();
    let spent = durable::step("spend", || async {
        let began = Instant::now();
        tokio::task::spawn(async {}).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(u64::from(began.elapsed().is_zero()))
    });
    let age = durable::step_with("age", began, |began| async move {
        let age = std::time::SystemTime::now().duration_since(began);
        Ok::<_, String>(age.map_or(0, |age| age.as_secs()))
    });
    Ok(spent.await? / 2 + age.await? / 3600)
}

#[workflow(allow(clock, env))]
async fn by_name() -> durable::Result<u64> {
    let began = Instant::now();
    let home = std::env::var_os("A_VARIABLE_THAT_NOBODY_SETS");
    Ok(began.elapsed().as_secs() / 3600 + u64::from(home.is_some()))
}

#[tokio::test]
async fn what_does_no_harm_is_taken() {
    assert_eq!(own_names().run_direct().await.unwrap(), 20);
    assert_eq!(in_a_step().run_direct().await.unwrap(), 0);
    assert_eq!(by_name().run_direct().await.unwrap(), 0);
}
