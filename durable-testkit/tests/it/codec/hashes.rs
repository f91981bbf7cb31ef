//! Hashes that leave the process or are stored: they never change.

use durable::codec::hash::{id_hash, idempotency_key, sip64, sip128};
use durable::kernel::id::{Digest, RunId};
use expect_test::expect;

const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The vectors of SipHash's authors.
#[test]
fn the_hashes_are_those_of_the_reference() {
    let input: Vec<u8> = (0..15).collect();
    assert_eq!(sip64(&KEY, &input), 0xa129_ca61_49be_45e5);
    assert_eq!(sip64(&KEY, &[]), 0x726f_db47_dd0e_0e31);
    assert_eq!(hex(&sip128(&KEY, &[])), "a3817f04ba25a8e66df67214c7550293");
    assert_eq!(hex(&sip128(&KEY, &[0])), "da87c1d86b99af44347659119b22fc45");
}

#[test]
fn an_idempotency_key_is_the_same_for_ever() {
    let key = |name, value, ordinal| idempotency_key(RunId(KEY), name, Digest(value), ordinal);
    expect!["79df54967081565dcb8f9113d49e8eb2"].assert_eq(&key("charge", 7, 0));
    let others = [key("charge", 7, 1), key("charge", 8, 0), key("charg", 7, 0)];
    assert!(others.iter().all(|other| *other != key("charge", 7, 0)));
}

#[test]
fn an_id_is_hashed_with_its_namespace() {
    expect!["d92d052488c20cd0d084ad442894fe49"].assert_eq(&hex(&id_hash(&KEY, "", "order-42")));
    assert_ne!(id_hash(&KEY, "a", "bc"), id_hash(&KEY, "ab", "c"));
    assert_ne!(id_hash(&KEY, "", "abc"), id_hash(&[0; 16], "", "abc"));
}
