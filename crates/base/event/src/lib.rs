//! Empty until its first type lands.
#![no_std]
