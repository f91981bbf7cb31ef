//! The package of the examples; each is a program of its own: `cargo run --example hello`, `cargo run --release --example backup`.
//! Nothing is exported from here.
