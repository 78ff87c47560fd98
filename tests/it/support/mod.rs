//! What tests share.

pub mod node;
