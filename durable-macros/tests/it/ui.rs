//! Refused shapes: one file each, with the text that the compiler prints.

#[test]
fn refused_shapes_are_refused_with_their_own_text() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
