//! The language as its users meet it.

mod broken;
mod docs;
mod files;
mod meaning;
mod random;
