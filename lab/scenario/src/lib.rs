//! The scenario language.
#![forbid(unsafe_code)]
