//! The guide's first example, as it stands in `docs/testing.md`: it fails, and says what the guide says that it says; mended, it passes.
//! So does the test in `README.md`, of the one and the other.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

mod first_try {
    include!("guide/first_try.rs");

    pub(super) fn play() {
        an_order_is_charged_once();
    }

    pub(super) mod readme {
        use super::{charge, checkout};
        include!("guide/readme.rs");

        pub(in super::super) fn play() {
            an_order_is_charged_once();
        }
    }
}

mod mended {
    include!("guide/mended.rs");

    pub(super) fn play() {
        an_order_is_charged_once();
    }

    pub(super) mod readme {
        use super::{charge, checkout};
        include!("guide/readme.rs");

        pub(in super::super) fn play() {
            an_order_is_charged_once();
        }
    }
}

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

fn guide() -> String {
    page("docs/testing.md")
}

/// The file is a test file, but for the attribute that would let it run here, where it fails.
fn shown(file: &str) -> String {
    format!("```rust,ignore\n{}```\n", file.replace("\nfn an_order", "\n#[test]\nfn an_order"))
}

#[test]
fn the_guide_shows_the_file_that_fails_here_and_what_it_prints() {
    assert!(guide().contains(&shown(include_str!("guide/first_try.rs"))), "docs/testing.md has another first example");
    let panic = catch_unwind(AssertUnwindSafe(first_try::play)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    let (told, _) = text.split_once("\nto repeat it").unwrap();
    assert!(told.contains("bank does charge for order 7 twice, and without a crash once"), "{told}");
    assert!(guide().contains(told), "docs/testing.md says that it prints something else than\n{told}");
}

#[test]
fn what_the_guide_mends_passes() {
    mended::play();
    let line = |text: &str| text.lines().filter(|line| line.contains("key")).map(str::to_owned).collect::<Vec<_>>();
    let mend = line(include_str!("guide/mended.rs")).join("\n");
    assert!(mend.contains("idempotency_key") && guide().contains(&mend), "docs/testing.md mends it in another way");
}

#[test]
fn the_test_in_the_readme_finds_a_charge_that_is_made_twice() {
    let shown = format!("```rust,ignore\n#[test]\n{}```\n", include_str!("guide/readme.rs"));
    assert!(page("README.md").contains(&shown), "README.md has another test");
    let panic = catch_unwind(AssertUnwindSafe(first_try::readme::play)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("bank does charge for order 7 twice, and without a crash once"), "{text}");
    mended::readme::play();
}
