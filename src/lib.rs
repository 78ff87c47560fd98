//! (being built)
pub mod archive;
pub mod format;
pub mod ops;
pub mod repository;
pub mod source;
pub mod sys;
