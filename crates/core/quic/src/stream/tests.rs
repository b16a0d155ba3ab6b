//! Streams, by theme.
