//! Streams (placeholder until they land).
