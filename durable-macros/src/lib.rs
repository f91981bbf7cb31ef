//! wip
use proc_macro::TokenStream;
/// w
#[proc_macro_attribute]
pub fn activity(_: TokenStream, i: TokenStream) -> TokenStream { i }
/// w
#[proc_macro_attribute]
pub fn workflow(_: TokenStream, i: TokenStream) -> TokenStream { i }
/// w
#[proc_macro_derive(Retryable, attributes(retry))]
pub fn r(_: TokenStream) -> TokenStream { TokenStream::new() }
