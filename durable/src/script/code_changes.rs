//! Another build opens the store: what stands, what blocks a run, what lets it go on. Each build of an application is a module
//! with the same names in it.

use expect_test::expect;

use super::check;
use super::world::Build;
use crate::registry::Registry;

mod b1 {
    //! The application as it was.

    use super::super::flows::{GO, STOP, a, b, child};
    use crate::prelude::*;

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) struct Card {
        pub(super) number: String,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) enum Means {
        Card { number: String },
        Cash { drawer: u32 },
    }

    #[activity(retry = fixed("1s").jitter(0.0))]
    pub(super) async fn charge(card: Card) -> Result<u32, String> {
        Err(card.number)
    }

    #[activity]
    pub(super) async fn pay(means: Means) -> Result<u32, String> {
        Err(format!("{means:?}"))
    }

    #[workflow]
    pub(super) async fn order() -> Result<u32, String> {
        charge(Card { number: "4711".to_owned() }).await.map_err(|e| e.to_string())
    }

    #[workflow]
    pub(super) async fn pair() -> Result<u32, String> {
        let card = || Card { number: "4711".to_owned() };
        let first = charge(card()).await.map_err(|e| e.to_string())?;
        Ok(first + charge(card()).await.map_err(|e| e.to_string())?)
    }

    #[workflow]
    pub(super) async fn known(card: Card) -> Result<u32, String> {
        let digits = u32::try_from(card.number.len()).unwrap();
        a(digits).await.map_err(|e| e.to_string())
    }

    #[workflow]
    pub(super) async fn twice() -> Result<u32, String> {
        let x = a(1).await.map_err(|e| e.to_string())?;
        let y = a(2).await.map_err(|e| e.to_string())?;
        Ok(x * 10 + y)
    }

    #[workflow]
    pub(super) async fn both() -> Result<u32, String> {
        let (x, y) = join!(pay(Means::Card { number: "4711".to_owned() }), pay(Means::Cash { drawer: 1 }),);
        Ok(x.map_err(|e| e.to_string())? + y.map_err(|e| e.to_string())?)
    }

    #[workflow]
    pub(super) async fn steps() -> Result<u32, String> {
        let x = a(1).await.map_err(|e| e.to_string())?;
        let y = b(2).await.map_err(|e| e.to_string())?;
        Ok(x + y)
    }

    #[workflow]
    pub(super) async fn nap() -> Result<u32, String> {
        crate::sleep(Duration::from_secs(3600)).await;
        Ok(1)
    }

    /// The loser of a select is a command whose outcome nobody uses.
    #[workflow]
    pub(super) async fn raced() -> Result<u32, String> {
        let x = select! {
            x = GO.recv() => x,
            () = crate::sleep(Duration::from_secs(3600)) => 0,
        };
        a(x).await.map_err(|e| e.to_string())
    }

    #[workflow]
    pub(super) async fn joined() -> Result<u32, String> {
        let (x, y) = join!(a(1), b(2));
        Ok(x.map_err(|e| e.to_string())? + y.map_err(|e| e.to_string())?)
    }

    #[workflow]
    pub(super) async fn spawned() -> Result<u32, String> {
        let (x, y) = (crate::spawn(a(1)), crate::spawn(b(2)));
        Ok(x.await.map_err(|e| e.to_string())? + y.await.map_err(|e| e.to_string())?)
    }

    #[workflow]
    pub(super) async fn receives() -> Result<u32, String> {
        Ok(GO.recv().await * 10 + STOP.recv().await)
    }

    #[workflow]
    pub(super) async fn parent() -> Result<u32, String> {
        child(1).id("first").await.map_err(|e| e.to_string())
    }
}

mod field {
    //! An input gets a field.

    use super::super::flows::{a, b};
    use crate::prelude::*;

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) struct Card {
        pub(super) number: String,
        #[serde(default)]
        pub(super) holder: Option<String>,
    }

    #[activity(retry = fixed("1s").jitter(0.0))]
    pub(super) async fn charge(card: Card) -> Result<u32, String> {
        Err(format!("{card:?}"))
    }

    pub(super) fn card() -> Card {
        Card { number: "4711".to_owned(), holder: None }
    }

    #[workflow]
    pub(super) async fn known(card: Card) -> Result<u32, String> {
        let digits = u32::try_from(card.number.len() + card.holder.map_or(0, |holder| holder.len())).unwrap();
        a(digits).await.map_err(|e| e.to_string())
    }

    #[workflow]
    pub(super) async fn order() -> Result<u32, String> {
        let charged = charge(card()).await.map_err(|e| e.to_string())?;
        b(charged).await.map_err(|e| e.to_string())
    }

    #[workflow]
    pub(super) async fn pair() -> Result<u32, String> {
        let first = charge(card()).await.map_err(|e| e.to_string())?;
        Ok(first + charge(card()).await.map_err(|e| e.to_string())?)
    }
}

mod filled {
    //! An input gets a field, and the code gives it a value.

    use super::super::flows::{a, b};
    use super::field::{Card, charge};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn order() -> Result<u32, String> {
        let card = Card { holder: Some("A. Nyone".to_owned()), ..super::field::card() };
        let charged = charge(card).await.map_err(|e| e.to_string())?;
        b(charged).await.map_err(|e| e.to_string())
    }

    pub(super) fn registry() -> crate::registry::Registry {
        crate::registry::Registry::of((a, b, charge, order))
    }
}

mod strict {
    //! The same, by a call that does not let it stand.

    use super::field::{Card, charge};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn order() -> Result<u32, String> {
        let card: Card = serde_json::from_str(r#"{"number":"4711"}"#).map_err(|e| e.to_string())?;
        charge(card).inputs(crate::Inputs::Strict).await.map_err(|e| e.to_string())
    }
}

mod swapped {
    //! Two calls are swapped, of one activity or of two; two receives are.

    use super::super::flows::{GO, STOP, a, b};
    use super::b1::{Means, pay};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn twice() -> Result<u32, String> {
        let y = a(2).await.map_err(|e| e.to_string())?;
        let x = a(1).await.map_err(|e| e.to_string())?;
        Ok(x * 10 + y)
    }

    #[workflow]
    pub(super) async fn both() -> Result<u32, String> {
        let (y, x) = join!(pay(Means::Cash { drawer: 1 }), pay(Means::Card { number: "4711".to_owned() }),);
        Ok(x.map_err(|e| e.to_string())? + y.map_err(|e| e.to_string())?)
    }

    #[workflow]
    pub(super) async fn joined() -> Result<u32, String> {
        let (y, x) = join!(b(2), a(1));
        Ok(x.map_err(|e| e.to_string())? + y.map_err(|e| e.to_string())?)
    }

    #[workflow]
    pub(super) async fn receives() -> Result<u32, String> {
        let y = STOP.recv().await;
        Ok(GO.recv().await * 10 + y)
    }
}

mod removed {
    //! The last step is gone, one side of a select, one of two calls that were awaited together.

    use super::super::flows::{GO, a};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn steps() -> Result<u32, String> {
        a(1).await.map_err(|e| e.to_string())
    }

    #[workflow]
    pub(super) async fn raced() -> Result<u32, String> {
        let x = GO.recv().await;
        a(x).await.map_err(|e| e.to_string())
    }

    #[workflow]
    pub(super) async fn joined() -> Result<u32, String> {
        a(1).await.map_err(|e| e.to_string())
    }
}

mod added {
    //! A step is put in front.

    use super::super::flows::{a, b};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn steps() -> Result<u32, String> {
        let x = b(0).await.map_err(|e| e.to_string())?;
        let y = a(1).await.map_err(|e| e.to_string())?;
        Ok(x + y)
    }
}

mod kept {
    //! The loser of a select is kept for later; a call is built that is never awaited; the child has another id.

    use super::super::flows::{GO, a, b, child};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn raced() -> Result<u32, String> {
        let (go, mut nap) = (GO.recv(), crate::sleep(Duration::from_secs(3600)));
        let x = select! {
            x = go => x,
            () = &mut nap => 0,
        };
        let y = a(x).await.map_err(|e| e.to_string());
        drop(nap);
        y
    }

    #[workflow]
    pub(super) async fn steps() -> Result<u32, String> {
        let _unused = b(7);
        let x = a(1).await.map_err(|e| e.to_string())?;
        let y = b(2).await.map_err(|e| e.to_string())?;
        Ok(x + y)
    }

    #[workflow]
    pub(super) async fn parent() -> Result<u32, String> {
        child(1).id("second").await.map_err(|e| e.to_string())
    }
}

mod argument {
    //! An argument of a workflow has another name.

    use super::super::flows::a;
    use super::b1::Card;
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn known(means: Card) -> Result<u32, String> {
        let digits = u32::try_from(means.number.len()).unwrap();
        a(digits).await.map_err(|e| e.to_string())
    }
}

mod early {
    //! The second of two branches is not awaited any more.

    use super::super::flows::{a, b};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn spawned() -> Result<u32, String> {
        let (x, _beside) = (crate::spawn(a(1)), crate::spawn(b(2)));
        x.await.map_err(|e| e.to_string())
    }
}

mod beside {
    //! A step is put beside the first one, in its turn.

    use super::super::flows::{a, b};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn steps() -> Result<u32, String> {
        let (x, y) = join!(a(1), b(2));
        Ok(x.map_err(|e| e.to_string())? + y.map_err(|e| e.to_string())?)
    }
}

mod renamed {
    //! The activity of the first step has another name.

    use super::super::flows::b;
    use crate::prelude::*;

    #[activity]
    pub(super) async fn a_by_another_name(x: u32) -> Result<u32, String> {
        Ok(x)
    }

    #[workflow]
    pub(super) async fn steps() -> Result<u32, String> {
        let x = a_by_another_name(1).await.map_err(|e| e.to_string())?;
        let y = b(2).await.map_err(|e| e.to_string())?;
        Ok(x + y)
    }
}

mod bound {
    //! An option that binds is another one, and the nap is shorter.

    use super::super::flows::{a, b};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn steps() -> Result<u32, String> {
        let x = a(1).at_most_once().await.map_err(|e| e.to_string())?;
        let y = b(2).await.map_err(|e| e.to_string())?;
        Ok(x + y)
    }

    #[workflow]
    pub(super) async fn nap() -> Result<u32, String> {
        crate::sleep(Duration::from_secs(60)).await;
        crate::sleep(Duration::from_secs(60)).await;
        Ok(1)
    }
}

mod patient {
    //! Retry policy and time limit of an attempt are other ones: the build that runs the attempt decides.

    use super::super::flows::{a, b};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn steps() -> Result<u32, String> {
        let policy = crate::retry::fixed("1m").jitter(0.0);
        let x = a(1).retry(policy).start_to_close(Duration::from_secs(5)).await.map_err(|e| e.to_string())?;
        let y = b(2).await.map_err(|e| e.to_string())?;
        Ok(x + y)
    }
}

fn builds() -> [Build; 14] {
    use super::flows::{a, b, child};
    [
        Build::new(
            "b1",
            Registry::of((
                Registry::of((b1::charge, b1::pay, b1::order, b1::known, b1::twice, b1::both, b1::steps, b1::nap)),
                Registry::of((a, b, child, b1::raced, b1::joined, b1::spawned, b1::receives, b1::parent, b1::pair)),
            )),
        )
        .start("pair", || b1::pair().into_start())
        .start("raced", || b1::raced().into_start())
        .start("joined", || b1::joined().into_start())
        .start("spawned", || b1::spawned().into_start())
        .start("receives", || b1::receives().into_start())
        .start("parent", || b1::parent().into_start())
        .start("order", || b1::order().into_start())
        .start("known", || b1::known(b1::Card { number: "4711".to_owned() }).into_start())
        .start("twice", || b1::twice().into_start())
        .start("both", || b1::both().into_start())
        .start("steps", || b1::steps().into_start())
        .start("nap", || b1::nap().into_start()),
        Build::new("field", Registry::of((a, b, field::charge, field::order, field::known, field::pair)))
            .start("known", || field::known(field::card()).into_start()),
        Build::new("filled", filled::registry()),
        Build::new("strict", Registry::of((a, b, field::charge, strict::order))),
        Build::new(
            "swapped",
            Registry::of((a, b, b1::pay, swapped::twice, swapped::both, swapped::joined, swapped::receives)),
        ),
        Build::new("removed", Registry::of((a, b, removed::steps, removed::raced, removed::joined))),
        Build::new("kept", Registry::of((a, b, child, kept::raced, kept::steps, kept::parent))),
        Build::new("argument", Registry::of((a, argument::known))),
        Build::new("early", Registry::of((a, b, early::spawned))),
        Build::new("added", Registry::of((a, b, added::steps))),
        Build::new("beside", Registry::of((a, b, beside::steps))),
        Build::new("renamed", Registry::of((renamed::a_by_another_name, b, renamed::steps))),
        Build::new("bound", Registry::of((a, b, bound::steps, bound::nap))),
        Build::new("patient", Registry::of((a, b, patient::steps))),
    ]
}

#[test]
fn a_service_sees_the_same_key_when_an_input_gets_a_field() {
    check(
        &builds(),
        "start order | fail charge down | kill | open field | advance 1s | kill | open field | ok charge 5 | crash | ok b 6",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 charge
            < start order: started
            < begin charge{"card":{"number":"4711"}} of order, seq 1, attempt 1, key 1
            > fail charge down
              order.2 AttemptFailed 1, attempt 1: `down`, next at 1s
            > kill
            > open field
              order is loaded
              ! the input of `charge` (seq 1) has another shape in this build; what was recorded stands [E0211]
            > advance 1s
              order.3 AttemptStarted 1, attempt 2
            < begin charge{"card":{"holder":null,"number":"4711"}} of order, seq 1, attempt 2, key 1
            > kill
            > open field
              order is loaded
              ! the input of `charge` (seq 1) has another shape in this build; what was recorded stands [E0211]
              order.4 AttemptFailed 1, attempt 2: interrupted, next at 1s, may stand
              order.5 AttemptStarted 1, attempt 3
            < begin charge{"card":{"holder":null,"number":"4711"}} of order, seq 1, attempt 3, key 1
            > ok charge 5
              order.6 ActivityCompleted 1: 5
              order.7 BuildChanged field
              order.8 Turn of 6: call 2 b
            < begin b{"x":5} of order, seq 2, attempt 1, key 2
            > crash
              order is loaded
              order.9 AttemptFailed 2, attempt 1: interrupted, next at 1s, may stand
              order.10 AttemptStarted 2, attempt 2
            < begin b{"x":5} of order, seq 2, attempt 2, key 2
            > ok b 6
              order.11 ActivityCompleted 2: 6
              order.12 Turn of 11: nothing
              order.13 RunEnded: Completed 6
        "#]],
    );
}

#[test]
fn a_service_sees_the_same_key_when_a_field_that_an_input_gets_has_a_value() {
    check(
        &builds(),
        "start order | fail charge down | kill | open filled | advance 1s",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 charge
            < start order: started
            < begin charge{"card":{"number":"4711"}} of order, seq 1, attempt 1, key 1
            > fail charge down
              order.2 AttemptFailed 1, attempt 1: `down`, next at 1s
            > kill
            > open filled
              order is loaded
              ! the input of `charge` (seq 1) has another shape in this build; what was recorded stands [E0211]
            > advance 1s
              order.3 AttemptStarted 1, attempt 2
            < begin charge{"card":{"holder":"A. Nyone","number":"4711"}} of order, seq 1, attempt 2, key 1
        "#]],
    );
}

#[test]
fn equal_calls_recorded_by_two_builds_of_which_one_has_a_field_more_are_no_swap() {
    check(
        &builds(),
        "start pair | kill | open field | ok charge 5 | kill | open field | ok charge 6",
        &expect![[r#"
            > start pair
              pair.0 RunStarted pair{}
              pair.1 Turn of 0: call 1 charge
            < start pair: started
            < begin charge{"card":{"number":"4711"}} of pair, seq 1, attempt 1, key 1
            > kill
            > open field
              pair is loaded
              ! the input of `charge` (seq 1) has another shape in this build; what was recorded stands [E0211]
              pair.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              pair.3 AttemptStarted 1, attempt 2
            < begin charge{"card":{"holder":null,"number":"4711"}} of pair, seq 1, attempt 2, key 1
            > ok charge 5
              pair.4 ActivityCompleted 1: 5
              pair.5 BuildChanged field
              pair.6 Turn of 4: call 2 charge
            < begin charge{"card":{"holder":null,"number":"4711"}} of pair, seq 2, attempt 1, key 2
            > kill
            > open field
              pair is loaded
              pair.7 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
              pair.8 AttemptStarted 2, attempt 2
            < begin charge{"card":{"holder":null,"number":"4711"}} of pair, seq 2, attempt 2, key 2
            > ok charge 6
              pair.9 ActivityCompleted 2: 6
              pair.10 Turn of 9: nothing
              pair.11 RunEnded: Completed 11
        "#]],
    );
}

#[test]
fn a_strict_call_does_not_let_a_changed_input_stand() {
    check(
        &builds(),
        "start order | fail charge down | kill | open strict",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 charge
            < start order: started
            < begin charge{"card":{"number":"4711"}} of order, seq 1, attempt 1, key 1
            > fail charge down
              order.2 AttemptFailed 1, attempt 1: `down`, next at 1s
            > kill
            > open strict
              order is loaded
              ! mismatch in workflow `order`, run order, at seq 1
              order.3 RunBlocked in strict: mismatch in workflow `order`, run order, at seq 1
                    the journal holds     activity `charge` (seq 1) with an input of shape 6ad116bc1db2238d (build b1)
                    the code asks for     activity `charge` (seq 1) with an input of shape 5fb907303135dc5c (durable/src/script/code_changes.rs:_, build strict)
                    around it             1 activity `charge`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn a_swapped_pair_of_calls_is_a_mismatch() {
    check(
        &builds(),
        "start twice | ok a 1 | kill | open swapped",
        &expect![[r#"
            > start twice
              twice.0 RunStarted twice{}
              twice.1 Turn of 0: call 1 a
            < start twice: started
            < begin a{"x":1} of twice, seq 1, attempt 1, key 1
            > ok a 1
              twice.2 ActivityCompleted 1: 1
              twice.3 Turn of 2: call 2 a
            < begin a{"x":2} of twice, seq 2, attempt 1, key 2
            > kill
            > open swapped
              twice is loaded
              ! mismatch in workflow `twice`, run twice, at seq 1
              twice.4 RunBlocked in swapped: mismatch in workflow `twice`, run twice, at seq 1
                    the journal holds     activity `a` (seq 1) with input 42f1acecdbe7af92 (build b1)
                    the code asks for     activity `a` (seq 1) with input de8fd4073681a08b (durable/src/script/code_changes.rs:_, build swapped)
                    around it             1 activity `a`   2 activity `a`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn a_swapped_pair_of_two_shapes_is_a_mismatch() {
    check(
        &builds(),
        "start both | kill | open swapped",
        &expect![[r#"
            > start both
              both.0 RunStarted both{}
              both.1 Turn of 0: call 1 pay, call 2 pay
            < start both: started
            < begin pay{"means":{"Card":{"number":"4711"}}} of both, seq 1, attempt 1, key 1
            < begin pay{"means":{"Cash":{"drawer":1}}} of both, seq 2, attempt 1, key 2
            > kill
            > open swapped
              both is loaded
              ! mismatch in workflow `both`, run both, at seq 1
              both.2 RunBlocked in swapped: mismatch in workflow `both`, run both, at seq 1
                    the journal holds     activity `pay` (seq 1) with an input of shape 9f8fff88f86f477a (build b1)
                    the code asks for     activity `pay` (seq 1) with an input of shape f672a19526333c67 (durable/src/script/code_changes.rs:_, build swapped)
                    around it             1 activity `pay`   2 activity `pay`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn a_removed_last_step_is_a_mismatch() {
    check(
        &builds(),
        "start steps | ok a 1 | kill | open removed",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > ok a 1
              steps.2 ActivityCompleted 1: 1
              steps.3 Turn of 2: call 2 b
            < begin b{"x":2} of steps, seq 2, attempt 1, key 2
            > kill
            > open removed
              steps is loaded
              ! mismatch in workflow `steps`, run steps, at seq 2
              steps.4 RunBlocked in removed: mismatch in workflow `steps`, run steps, at seq 2
                    the journal holds     activity `b` (seq 2) (build b1)
                    the code asks for     nothing more in this turn (after durable/src/script/code_changes.rs:_, build removed)
                    around it             1 activity `a`   2 activity `b`
                    likely cause          a call was removed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn a_last_step_removed_before_it_was_reached_is_none() {
    check(
        &builds(),
        "start steps | kill | open removed | ok a 1",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > kill
            > open removed
              steps is loaded
              steps.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              steps.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of steps, seq 1, attempt 2, key 1
            > ok a 1
              steps.4 ActivityCompleted 1: 1
              steps.5 BuildChanged removed
              steps.6 Turn of 4: nothing
              steps.7 RunEnded: Completed 1
        "#]],
    );
}

#[test]
fn an_added_step_is_a_mismatch_and_the_old_build_goes_on() {
    check(
        &builds(),
        "start steps | ok a 1 | kill | open added | kill | open added | close | open | ok b 2",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > ok a 1
              steps.2 ActivityCompleted 1: 1
              steps.3 Turn of 2: call 2 b
            < begin b{"x":2} of steps, seq 2, attempt 1, key 2
            > kill
            > open added
              steps is loaded
              ! mismatch in workflow `steps`, run steps, at seq 1
              steps.4 RunBlocked in added: mismatch in workflow `steps`, run steps, at seq 1
                    the journal holds     activity `a` (seq 1) (build b1)
                    the code asks for     activity `b` (seq 1) (durable/src/script/code_changes.rs:_, build added)
                    around it             1 activity `a`   2 activity `b`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
            > kill
            > open added
            > close
              steps.5 AttemptStarted 2, attempt 1
            > open
              steps.6 RunUnblocked in b1: another build opened the store
              steps is loaded
              steps.7 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
              steps.8 AttemptStarted 2, attempt 2
            < begin b{"x":2} of steps, seq 2, attempt 2, key 2
            > ok b 2
              steps.9 ActivityCompleted 2: 2
              steps.10 Turn of 9: nothing
              steps.11 RunEnded: Completed 3
        "#]],
    );
}

#[test]
fn a_step_added_to_a_recorded_turn_is_a_mismatch() {
    check(
        &builds(),
        "start steps | kill | open beside",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > kill
            > open beside
              steps is loaded
              ! mismatch in workflow `steps`, run steps, at seq 2
              steps.2 RunBlocked in beside: mismatch in workflow `steps`, run steps, at seq 2
                    the journal holds     nothing more in this turn (build b1)
                    the code asks for     activity `b` (seq 2) (durable/src/script/code_changes.rs:_, build beside)
                    around it             1 activity `a`
                    likely cause          a call was added while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn a_renamed_step_is_a_mismatch() {
    check(
        &builds(),
        "start steps | kill | open renamed",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > kill
            > open renamed
              steps is loaded
              ! mismatch in workflow `steps`, run steps, at seq 1
              steps.2 RunBlocked in renamed: mismatch in workflow `steps`, run steps, at seq 1
                    the journal holds     activity `a` (seq 1) (build b1)
                    the code asks for     activity `a_by_another_name` (seq 1) (durable/src/script/code_changes.rs:_, build renamed)
                    around it             1 activity `a`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn a_changed_binding_option_is_a_mismatch() {
    check(
        &builds(),
        "start steps | kill | open bound",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > kill
            > open bound
              steps is loaded
              ! mismatch in workflow `steps`, run steps, at seq 1
              steps.2 RunBlocked in bound: mismatch in workflow `steps`, run steps, at seq 1
                    the journal holds     activity `a` (seq 1), with no option that binds (build b1)
                    the code asks for     activity `a` (seq 1), at most once (durable/src/script/code_changes.rs:_, build bound)
                    around it             1 activity `a`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn a_timer_keeps_the_due_time_it_was_armed_with() {
    check(
        &builds(),
        "start nap | kill | open bound | advance 1m | advance 59m | crash | advance 1m",
        &expect![[r#"
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            < start nap: started
            > kill
            > open bound
            > advance 1m
            > advance 59m
              nap.2 TimerFired 1 at 1h
              nap is loaded
              ! the timer of seq 1 keeps the due time that it was armed with [E0211]
              nap.3 BuildChanged bound
              nap.4 Turn of 2: timer 2 due 1h1m
            > crash
            > advance 1m
              nap.5 TimerFired 2 at 1h1m
              nap is loaded
              nap.6 Turn of 5: nothing
              nap.7 RunEnded: Completed 1
        "#]],
    );
}

#[test]
fn the_build_that_runs_an_attempt_decides_on_its_policy() {
    check(
        &builds(),
        "start steps | kill | open patient | advance 5s | advance 1m",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > kill
            > open patient
              steps is loaded
              steps.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              steps.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of steps, seq 1, attempt 2, key 1
            > advance 5s
              steps.4 AttemptFailed 1, attempt 2: timed out, next at 1m5s, may stand
            < stop a of steps
            > advance 1m
              steps.5 AttemptStarted 1, attempt 3
            < begin a{"x":1} of steps, seq 1, attempt 3, key 1
        "#]],
    );
}

#[test]
fn a_completion_that_comes_while_its_run_is_blocked_is_kept() {
    check(
        &builds(),
        "start steps | ok a 1 | kill | open added | signal steps go 1 | kill | open | ok b 2",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > ok a 1
              steps.2 ActivityCompleted 1: 1
              steps.3 Turn of 2: call 2 b
            < begin b{"x":2} of steps, seq 2, attempt 1, key 2
            > kill
            > open added
              steps is loaded
              ! mismatch in workflow `steps`, run steps, at seq 1
              steps.4 RunBlocked in added: mismatch in workflow `steps`, run steps, at seq 1
                    the journal holds     activity `a` (seq 1) (build b1)
                    the code asks for     activity `b` (seq 1) (durable/src/script/code_changes.rs:_, build added)
                    around it             1 activity `a`   2 activity `b`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
            > signal steps go 1
              steps.5 SignalReceived go: 1
            < signal steps go: done
            > kill
            > open
              steps.6 RunUnblocked in b1: another build opened the store
              steps is loaded
              steps.7 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
              steps.8 Turn of 5: nothing
              steps.9 AttemptStarted 2, attempt 2
            < begin b{"x":2} of steps, seq 2, attempt 2, key 2
            > ok b 2
              steps.10 ActivityCompleted 2: 2
              steps.11 Turn of 10: nothing
              steps.12 RunEnded: Completed 3
        "#]],
    );
}

#[test]
fn a_start_by_another_build_attaches_though_its_input_got_a_field() {
    check(
        &builds(),
        "start known | start known | kill | open field | start known | ok a 5",
        &expect![[r#"
            > start known
              known.0 RunStarted known{"card":{"number":"4711"}}
              known.1 Turn of 0: call 1 a
            < start known: started
            < begin a{"x":4} of known, seq 1, attempt 1, key 1
            > start known
            < start known: attached
            > kill
            > open field
              known is loaded
              known.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              known.3 AttemptStarted 1, attempt 2
            < begin a{"x":4} of known, seq 1, attempt 2, key 1
            > start known
            < start known: attached, reshaped
            > ok a 5
              known.4 ActivityCompleted 1: 5
              known.5 BuildChanged field
              known.6 Turn of 4: nothing
              known.7 RunEnded: Completed 5
        "#]],
    );
}

#[test]
fn two_activities_that_are_swapped_are_a_mismatch() {
    check(
        &builds(),
        "start joined | kill | open swapped | kill | open | ok a 1 | ok b 2",
        &expect![[r#"
            > start joined
              joined.0 RunStarted joined{}
              joined.1 Turn of 0: call 1 a, call 2 b
            < start joined: started
            < begin a{"x":1} of joined, seq 1, attempt 1, key 1
            < begin b{"x":2} of joined, seq 2, attempt 1, key 2
            > kill
            > open swapped
              joined is loaded
              ! mismatch in workflow `joined`, run joined, at seq 1
              joined.2 RunBlocked in swapped: mismatch in workflow `joined`, run joined, at seq 1
                    the journal holds     activity `a` (seq 1) (build b1)
                    the code asks for     activity `b` (seq 1) (durable/src/script/code_changes.rs:_, build swapped)
                    around it             1 activity `a`   2 activity `b`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
            > kill
            > open
              joined.3 RunUnblocked in b1: another build opened the store
              joined is loaded
              joined.4 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              joined.5 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
              joined.6 AttemptStarted 1, attempt 2
              joined.7 AttemptStarted 2, attempt 2
            < begin a{"x":1} of joined, seq 1, attempt 2, key 1
            < begin b{"x":2} of joined, seq 2, attempt 2, key 2
            > ok a 1
              joined.8 ActivityCompleted 1: 1
              joined.9 Turn of 8: nothing
            > ok b 2
              joined.10 ActivityCompleted 2: 2
              joined.11 Turn of 10: nothing
              joined.12 RunEnded: Completed 3
        "#]],
    );
}

#[test]
fn a_removed_call_beside_another_is_a_mismatch() {
    check(
        &builds(),
        "start joined | kill | open removed",
        &expect![[r#"
            > start joined
              joined.0 RunStarted joined{}
              joined.1 Turn of 0: call 1 a, call 2 b
            < start joined: started
            < begin a{"x":1} of joined, seq 1, attempt 1, key 1
            < begin b{"x":2} of joined, seq 2, attempt 1, key 2
            > kill
            > open removed
              joined is loaded
              ! mismatch in workflow `joined`, run joined, at seq 2
              joined.2 RunBlocked in removed: mismatch in workflow `joined`, run joined, at seq 2
                    the journal holds     activity `b` (seq 2) (build b1)
                    the code asks for     nothing more in this turn (after durable/src/script/code_changes.rs:_, build removed)
                    around it             1 activity `a`   2 activity `b`
                    likely cause          a call was removed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn swapped_receives_are_a_mismatch() {
    check(
        &builds(),
        "start receives | kill | open swapped | signal receives go 1 | kill | open",
        &expect![[r#"
            > start receives
              receives.0 RunStarted receives{}
              receives.1 Turn of 0: await 1 go
            < start receives: started
            > kill
            > open swapped
            > signal receives go 1
              receives.2 SignalReceived go: 1
              receives is loaded
            < signal receives go: done
              ! mismatch in workflow `receives`, run receives, at seq 1
              receives.3 RunBlocked in swapped: mismatch in workflow `receives`, run receives, at seq 1
                    the journal holds     signal `go` (seq 1) (build b1)
                    the code asks for     signal `stop` (seq 1) (durable/src/script/code_changes.rs:_, build swapped)
                    around it             1 signal `go`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
            > kill
            > open
              receives.4 RunUnblocked in b1: another build opened the store
              receives is loaded
              receives.5 Turn of 2: take 1, await 2 stop
        "#]],
    );
}

#[test]
fn a_side_of_a_select_that_was_removed_is_a_mismatch() {
    check(
        &builds(),
        "start raced | signal raced go 1 | kill | open removed",
        &expect![[r#"
            > start raced
              raced.0 RunStarted raced{}
              raced.1 Turn of 0: await 1 go, timer 2 due 1h
            < start raced: started
            > signal raced go 1
              raced.2 SignalReceived go: 1
              raced.3 Turn of 2: take 1, drop 2, call 3 a
            < signal raced go: done
            < begin a{"x":1} of raced, seq 3, attempt 1, key 1
            > kill
            > open removed
              raced is loaded
              ! mismatch in workflow `raced`, run raced, at seq 2
              raced.4 RunBlocked in removed: mismatch in workflow `raced`, run raced, at seq 2
                    the journal holds     timer due 2026-01-01T01:00:00Z (seq 2) (build b1)
                    the code asks for     nothing more in this turn (after durable/src/script/code_changes.rs:_, build removed)
                    around it             1 signal `go`   2 timer due 2026-01-01T01:00:00Z   3 activity `a`
                    likely cause          a call was removed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn a_loser_of_a_select_that_is_dropped_later_is_a_mismatch() {
    check(
        &builds(),
        "start raced | signal raced go 1 | kill | open kept",
        &expect![[r#"
            > start raced
              raced.0 RunStarted raced{}
              raced.1 Turn of 0: await 1 go, timer 2 due 1h
            < start raced: started
            > signal raced go 1
              raced.2 SignalReceived go: 1
              raced.3 Turn of 2: take 1, drop 2, call 3 a
            < signal raced go: done
            < begin a{"x":1} of raced, seq 3, attempt 1, key 1
            > kill
            > open kept
              raced is loaded
              ! mismatch in workflow `raced`, run raced, at seq 3
              raced.4 RunBlocked in kept: mismatch in workflow `raced`, run raced, at seq 3
                    the journal holds     dropping timer due 2026-01-01T01:00:00Z (seq 2) (build b1)
                    the code asks for     activity `a` (seq 3) (durable/src/script/code_changes.rs:_, build kept)
                    around it             1 signal `go`   2 timer due 2026-01-01T01:00:00Z   3 activity `a`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn a_call_that_is_built_and_never_awaited_moves_the_numbers_and_is_named() {
    check(
        &builds(),
        "start steps | kill | open kept",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > kill
            > open kept
              steps is loaded
              ! mismatch in workflow `steps`, run steps, at seq 2
              steps.2 RunBlocked in kept: mismatch in workflow `steps`, run steps, at seq 2
                    the journal holds     activity `a` (seq 1) (build b1)
                    the code asks for     activity `a` (seq 2) (durable/src/script/code_changes.rs:_, build kept)
                    around it             1 activity `a`
                    likely cause          a call before it was added or removed while this run was in flight, also one that is built and not awaited
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
        "#]],
    );
}

#[test]
fn an_end_of_the_run_before_its_journal_ends_is_a_mismatch() {
    check(
        &builds(),
        "start spawned | ok a 1 | kill | open early | kill | open | ok b 2",
        &expect![[r#"
            > start spawned
              spawned.0 RunStarted spawned{}
              spawned.1 Turn of 0: call 1 a, call 2 b
            < start spawned: started
            < begin a{"x":1} of spawned, seq 1, attempt 1, key 1
            < begin b{"x":2} of spawned, seq 2, attempt 1, key 2
            > ok a 1
              spawned.2 ActivityCompleted 1: 1
              spawned.3 Turn of 2: nothing
            > kill
            > open early
              spawned is loaded
              ! mismatch in workflow `spawned`, run spawned, at seq 2
              spawned.4 RunBlocked in early: mismatch in workflow `spawned`, run spawned, at seq 2
                    the journal holds     further turns of the run (build b1)
                    the code asks for     the end of the run, with `Ok` (after durable/src/script/code_changes.rs:_, build early)
                    around it             1 activity `a`   2 activity `b`
                    likely cause          calls were removed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
            > kill
            > open
              spawned.5 RunUnblocked in b1: another build opened the store
              spawned is loaded
              spawned.6 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
              spawned.7 AttemptStarted 2, attempt 2
            < begin b{"x":2} of spawned, seq 2, attempt 2, key 2
            > ok b 2
              spawned.8 ActivityCompleted 2: 2
              spawned.9 Turn of 8: nothing
              spawned.10 RunEnded: Completed 3
        "#]],
    );
}

#[test]
fn a_child_of_another_id_is_a_mismatch() {
    check(
        &builds(),
        "start parent | kill | open kept | ok a 5 | kill | open",
        &expect![[r#"
            > start parent
              parent.0 RunStarted parent{}
              parent.1 Turn of 0: child 1 parent/first
              parent/first.0 RunStarted child{"x":1}
              parent/first.1 Turn of 0: call 1 a
            < start parent: started
            < begin a{"x":1} of parent/first, seq 1, attempt 1, key 1
            > kill
            > open kept
              parent/first is loaded
              parent/first.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              parent/first.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of parent/first, seq 1, attempt 2, key 1
            > ok a 5
              parent/first.4 ActivityCompleted 1: 5
              parent/first.5 BuildChanged kept
              parent/first.6 Turn of 4: nothing
              parent/first.7 RunEnded: Completed 5
              parent.2 ChildEnded 1: Completed 5
              parent is loaded
              ! mismatch in workflow `parent`, run parent, at seq 1
              parent.3 RunBlocked in kept: mismatch in workflow `parent`, run parent, at seq 1
                    the journal holds     child `child` as `parent/first` (seq 1) (build b1)
                    the code asks for     child `child` as `parent/second` (seq 1) (durable/src/script/code_changes.rs:_, build kept)
                    around it             1 child `child` as `parent/first`
                    likely cause          calls were added, removed, swapped or changed while this run was in flight
                    way out               finish the open runs on the build that recorded them, or bring the old order back
                    the run is parked and nothing was lost; it goes on with a fitting binary [E0201]
            > kill
            > open
              parent.4 RunUnblocked in b1: another build opened the store
              parent is loaded
              parent.5 Turn of 2: nothing
              parent.6 RunEnded: Completed 5
        "#]],
    );
}

#[test]
fn a_renamed_argument_of_a_workflow_blocks_its_runs_and_the_old_build_goes_on() {
    check(
        &builds(),
        "start known | kill | open argument | kill | open | ok a 5",
        &expect![[r#"
            > start known
              known.0 RunStarted known{"card":{"number":"4711"}}
              known.1 Turn of 0: call 1 a
            < start known: started
            < begin a{"x":4} of known, seq 1, attempt 1, key 1
            > kill
            > open argument
              known is loaded
              ! the recorded input (with `card`) does not fit the arguments of `known`: the recorded value is no `durable::script::code_changes::argument::known::__Input<durable::script::code_changes::b1::Card>`: missing field `means`; give new fields a `#[serde(default)]`, or bring the old type back [E0205]
              known.2 RunBlocked in argument: the recorded input (with `card`) does not fit the arguments of `known`: the recorded value is no `durable::script::code_changes::argument::known::__Input<durable::script::code_changes::b1::Card>`: missing field `means`; give new fields a `#[serde(default)]`, or bring the old type back [E0205]
            > kill
            > open
              known.3 RunUnblocked in b1: another build opened the store
              known is loaded
              known.4 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              known.5 AttemptStarted 1, attempt 2
            < begin a{"x":4} of known, seq 1, attempt 2, key 1
            > ok a 5
              known.6 ActivityCompleted 1: 5
              known.7 Turn of 6: nothing
              known.8 RunEnded: Completed 5
        "#]],
    );
}
