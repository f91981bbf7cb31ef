//! Tests of the house itself: which floor imports what, and that the documents and the code agree.

mod house;
