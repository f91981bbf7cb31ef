//! The macros from the outside: what compiles and what it does, and what is refused with which text.

mod allowed;
mod definitions;
mod direct;
mod errors;
mod shop;
mod ui;
