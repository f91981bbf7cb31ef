//! The package of the examples; each is a program of its own: `cargo run --release --example checkout`, `--example hello`,
//! `--example backup`.
//! Nothing is exported from here.
